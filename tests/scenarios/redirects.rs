//! `homeserver.url` answers with a redirect: a mistake that is named with its target, and nothing secret follows it.

use super::*;

#[tokio::test]
async fn an_address_that_redirects_is_a_mistake_that_names_its_target_and_no_password_follows() -> Result<()>
{
    for status in [301, 302, 307, 308] {
        let (stage, target) =
            (Stage::new(PROGRAM, &Population::new())?, Stage::new(PROGRAM, &Population::new())?);
        let _redirect = stage.redirect(status, target.url());

        let mut bot = stage.spawn()?;
        let ended = bot.ended().await?;

        assert_eq!(ended.code(), Some(2), "{status}: {}", bot.log());
        assert!(bot.log().contains(target.url()), "{status}: the target is named: {}", bot.log());
        let asked = target.arrivals();
        let secret = asked.iter().find(|arrival| arrival.request.body.to_string().contains("secret"));
        assert!(secret.is_none(), "{status}: {secret:?}");
        assert_eq!(target.sign_ins(), 0, "{status}");
    }
    Ok(())
}
