//! `status`

use super::request::{Reply, Request, Stopped};

pub(super) async fn answer(request: &Request<'_>) -> Result<Reply, Stopped> {
    let status = request.janitor(|janitor| janitor.status()).await?;
    Ok(status.message().into())
}
