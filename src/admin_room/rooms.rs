//! `rooms`

use rtc_janitor_core::{
    render::{
        answer,
        message::{and_more, together},
    },
    survey::SurveyedRoom,
};

use super::request::{Reply, Request, Stopped};

pub(super) async fn answer(request: &Request<'_>, only_problems: bool) -> Result<Reply, Stopped> {
    let rooms = request.janitor(move |janitor| Ok(janitor.rooms_answer(only_problems))).await?;
    let prefix = &request.context.prefix;
    let rooms = rooms.message(prefix);
    let Some(surveys) = request.context.surveys.as_ref().filter(|_| only_problems) else {
        return Ok(rooms.into());
    };
    let elsewhere = match surveys.last() {
        None => answer::not_surveyed(prefix),
        Some(survey) => {
            let ids = survey.rooms.iter().map(|room| room.listed.room.clone()).collect();
            let joined = request.janitor(move |janitor| Ok(janitor.joined_among(ids))).await?;
            // Those that the bot is in stand above.
            let is_in = |room: &SurveyedRoom| joined.contains(&room.listed.room);
            answer::survey_problems(&survey, &is_in, surveys.me(), prefix, request.context.clock.now())
        }
    };
    let both = [&rooms, &elsewhere];
    let (message, shown) = together(&both);
    Ok(if shown < both.len() { and_more(message, both.len() - shown) } else { message }.into())
}
