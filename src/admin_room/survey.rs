//! `survey`

use std::sync::Arc;

use rtc_janitor_core::{
    command::SurveyOrder,
    render::answer,
    survey::{Cut, Scope, Survey},
};

use super::{
    request::{Reply, Request, Stopped},
    surveys::{NoSurvey, Surveys},
};

pub(super) async fn answer(request: &Request<'_>, order: SurveyOrder) -> Result<Reply, Stopped> {
    let Some(surveys) = &request.context.surveys else { return Ok(answer::no_admin_api().into()) };
    let prefix = &request.context.prefix;
    Ok(match order {
        SurveyOrder::Stop => match surveys.stop() {
            Some(progress) => answer::survey_stopped(progress).into(),
            None => answer::no_survey_to_stop(prefix).into(),
        },
        SurveyOrder::Make { join, scope } => match make(request, surveys, &scope).await? {
            // Whoever has stopped it wants nothing done about what it came to.
            Ok(survey) if join && survey.cut != Some(Cut::Stopped) => Reply::Joins(survey),
            Ok(survey) => answer::SurveyFound { survey: &survey, me: surveys.me(), prefix }.message().into(),
            Err(NoSurvey::UnderWay(progress, since)) => {
                answer::survey_running(progress, since, prefix).into()
            }
            Err(NoSurvey::Failed(error)) => answer::failed(&error.to_string()).into(),
        },
    })
}

/// Makes a survey, unless there is one. Its place is taken before anything is waited for: what is said next may be to
/// stop it.
async fn make(
    request: &Request<'_>,
    surveys: &Surveys,
    scope: &Scope,
) -> Result<Result<Arc<Survey>, NoSurvey>, Stopped> {
    let place = match surveys.begin() {
        Ok(place) => place,
        Err(none) => return Ok(Err(none)),
    };
    let settings = request.janitor(|janitor| Ok(janitor.settings_now())).await?;
    let news = |progress| drop(request.news.send_replace(Some(answer::survey_progress(progress))));
    Ok(place.make(&settings, scope, &news).await)
}
