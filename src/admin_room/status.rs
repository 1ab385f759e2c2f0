//! `status`

use super::asked::{Asked, Gone, Reply};

pub(super) async fn answer(asked: &Asked<'_>) -> Result<Reply, Gone> {
    let status = asked.janitor(|janitor| Box::pin(async move { janitor.status() })).await?;
    Ok(status.message().into())
}
