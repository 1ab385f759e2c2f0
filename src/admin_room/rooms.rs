//! `rooms`

use super::asked::{Asked, Gone, Reply};

pub(super) async fn answer(asked: &Asked<'_>, only_problems: bool) -> Result<Reply, Gone> {
    let rooms = asked
        .janitor(move |janitor| Box::pin(async move { Ok(janitor.rooms_answer(only_problems)) }))
        .await?;
    Ok(rooms.message(&asked.house.prefix).into())
}
