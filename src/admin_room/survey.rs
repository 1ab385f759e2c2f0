//! `survey`

use rtc_janitor_core::{command::SurveyOrder, render::answer};

use super::{
    request::{Reply, Request, Stopped},
    surveys::NoSurvey,
};

pub(super) async fn answer(request: &Request<'_>, order: SurveyOrder) -> Result<Reply, Stopped> {
    let Some(surveys) = &request.context.surveys else { return Ok(answer::no_admin_api().into()) };
    let settings = request.janitor(|janitor| Ok(janitor.settings_now())).await?;
    let news = |progress| drop(request.news.send_replace(Some(answer::survey_progress(progress))));
    let prefix = &request.context.prefix;
    Ok(match surveys.make(&settings, &order.scope, &news).await {
        Ok(survey) if order.join => Reply::Joins(survey),
        Ok(survey) => answer::SurveyFound { survey: &survey, me: surveys.me(), prefix }.message().into(),
        Err(NoSurvey::UnderWay(progress, since)) => answer::survey_running(progress, since).into(),
        Err(NoSurvey::Failed(error)) => answer::failed(&error.to_string()).into(),
    })
}
