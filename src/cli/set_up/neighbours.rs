//! The real neighbours behind the janitor's ports.

use std::sync::Arc;

use tokio::time::sleep;

use super::BACKOFF;
use crate::{
    cli::CliError,
    config::{self, Config},
    http::Webhooks,
    janitor::Ports,
    metrics::{Asked, Metrics},
    world::{
        NeighbourError,
        appservice::{ActsForOwners, Appservice},
        clock::SystemClock,
        device_lists::{KeysQuery, OwnLists},
        homeserver::{Homeserver, transport::WithToken},
        livekit::{ApiKey, CallServer, LiveKit},
        synapse_admin::SynapseAdmin,
        writer::Writer,
    },
};

/// How often the homeserver is asked at a start whether this account is a server admin.
const ADMIN_QUESTIONS: usize = 3;

/// Whether the homeserver's admin API may be asked.
pub(in crate::cli) enum AdminApi {
    /// It may.
    Granted(Arc<SynapseAdmin>),
    /// Nobody gave the janitor leave.
    NotGranted,
    /// The homeserver has none.
    Missing,
}

impl AdminApi {
    /// The way there, where it may be asked.
    pub(in crate::cli) fn granted(&self) -> Option<Arc<SynapseAdmin>> {
        match self {
            Self::Granted(admin) => Some(Arc::clone(admin)),
            Self::NotGranted | Self::Missing => None,
        }
    }
}

/// The admin API, by the token of `[synapse_admin]`, or by the janitor's own where its account is an admin.
pub(in crate::cli) async fn synapse_admin(
    config: &Config,
    homeserver: &Homeserver,
    metrics: &Metrics,
) -> Result<AdminApi, CliError> {
    let (me, device) = (homeserver.user_id().clone(), homeserver.device_id().clone());
    if let Some(keys) = &config.synapse_admin {
        let base = keys.url.as_ref().unwrap_or_else(|| homeserver.address()).clone();
        let transport = WithToken::new(base, keys.access_token.clone(), Asked::SynapseAdmin, metrics.clone())
            .map_err(|error| CliError::unexpected("cannot ask the admin API", &error))?;
        return Ok(AdminApi::Granted(Arc::new(SynapseAdmin::new(Arc::new(transport), me, device))));
    }
    let own = SynapseAdmin::new(homeserver.shared_transport(), me, device);
    let mut backoff = BACKOFF;
    for _ in 0..ADMIN_QUESTIONS {
        match own.is_admin().await {
            Ok(true) => return Ok(AdminApi::Granted(Arc::new(own))),
            Ok(false) | Err(NeighbourError::Refused { status: 403, .. }) => return Ok(AdminApi::NotGranted),
            Err(NeighbourError::Refused { status: 404, .. }) => return Ok(AdminApi::Missing),
            Err(error) => tracing::warn!("whether this account is a server admin is not known: {error}"),
        }
        sleep(backoff.next()).await;
    }
    // If it is one, its lists decide, and until they can be had nothing is known of devices of this server.
    Ok(AdminApi::Granted(Arc::new(own)))
}

/// The real neighbours.
pub(in crate::cli) fn ports(
    config: &Config,
    homeserver: &Homeserver,
    metrics: Metrics,
    admin: &AdminApi,
) -> Result<Ports, CliError> {
    let clock = Arc::new(SystemClock);
    let call_server = match &config.livekit {
        None => None,
        Some(keys) => {
            let key = api_key(keys);
            let livekit = LiveKit::new(&keys.url, key, homeserver.clone(), clock.clone(), metrics.clone())
                .map_err(|error| CliError::unexpected("cannot ask the call server", &error))?;
            Some(Arc::new(livekit) as Arc<dyn CallServer>)
        }
    };
    let appservice = config.appservice.as_ref().map(|appservice| {
        let config::Appservice { as_token, namespace } = appservice.clone();
        Appservice::new(homeserver.clone(), as_token, namespace)
    });
    // An admin may also ask whose an account is. Whoever cannot see the janitor's own devices proves nothing.
    let as_appservice =
        appservice.clone().filter(|appservice| OwnLists::covers(appservice, homeserver.user_id()));
    let acts_for_owners = appservice.clone().map(|appservice| Arc::new(appservice) as Arc<dyn ActsForOwners>);
    let own_lists = match (admin.granted(), as_appservice) {
        (Some(admin), _) => Some(admin as Arc<dyn OwnLists>),
        (None, Some(appservice)) => Some(Arc::new(appservice) as Arc<dyn OwnLists>),
        (None, None) => None,
    };
    Ok(Ports {
        rooms: Arc::new(homeserver.clone()),
        writer: Arc::new(Writer::new(homeserver.clone(), appservice)),
        device_lists: Arc::new(KeysQuery::new(homeserver.clone())),
        own_lists,
        appservice: acts_for_owners,
        has_no_admin_api: matches!(admin, AdminApi::Missing),
        call_server,
        clock,
        metrics,
    })
}

/// What our SFU tells, where it may.
pub(in crate::cli) fn webhooks(config: &Config, metrics: &Metrics) -> Option<Arc<Webhooks>> {
    let keys = config.livekit.as_ref().filter(|keys| keys.webhook)?;
    config.http.listen?;
    Some(Arc::new(Webhooks::new(api_key(keys), Arc::new(SystemClock), metrics.clone())))
}

/// The key of our SFU.
pub(in crate::cli) fn api_key(keys: &config::LiveKit) -> ApiKey {
    ApiKey { name: keys.api_key.clone(), secret: keys.api_secret.clone() }
}
