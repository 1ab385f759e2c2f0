//! Puts the sections together. Each function reads all keys of its section before it gives up, so
//! that every problem is found in one go.

use std::path::Path;

use super::{
    AdminRoom, Breaker, Config, Graces, Homeserver, HomeserverAddress, Janitor, Limits, Log, Login, Owners,
    Rooms, Rules, Store, parse,
    reader::{Noted, Reader},
    sign_in,
};

/// The whole of it.
pub(super) fn config(reader: &mut Reader, file: Option<&Path>) -> Result<Config, Noted> {
    let homeserver = homeserver(reader);
    let login = sign_in::main(reader);
    let store = store(reader);
    let janitor = janitor(reader);
    let grace = graces(reader);
    let rules = rules(reader);
    let limits = limits(reader);
    let breaker = breaker(reader);
    let rooms = rooms(reader);
    let owners = reader.value("owners.exclude", parse::user_globs);
    let admin_room = admin_room(reader, homeserver.as_ref(), login.as_ref());
    let log = log(reader);
    Ok(Config {
        homeserver: homeserver?,
        login: login?,
        store: store?,
        janitor: janitor?,
        grace: grace?,
        rules: rules?,
        limits: limits?,
        breaker: breaker?,
        rooms: rooms?,
        owners: Owners { exclude: owners? },
        admin_room: admin_room?,
        log: log?,
        file: file.map(Path::to_owned),
        rows: Vec::new(),
        warnings: Vec::new(),
    })
}

fn homeserver(reader: &mut Reader) -> Result<Homeserver, Noted> {
    let url = reader.get("homeserver.url", parse::url);
    let server_name = reader.get("homeserver.server_name", parse::server_name);
    let user_id = reader.need(
        "homeserver.user_id",
        parse::user_id,
        "write the full id of the janitor's account, such as \"@rtc-janitor:example.org\"",
    );
    let address = match (url?, server_name?) {
        (Some(url), None) => HomeserverAddress::Url(url),
        (None, Some(name)) => HomeserverAddress::ServerName(name),
        (Some(_), Some(_)) => {
            let sentence = format!(
                "{} and {} are both set; keep one of them",
                reader.place("homeserver.url"),
                reader.place("homeserver.server_name")
            );
            return Err(reader.note(sentence));
        }
        (None, None) => {
            return Err(reader.note(
                "homeserver.url is not set; write the address of the homeserver, such as \
                 \"https://matrix.example.org\", or its homeserver.server_name",
            ));
        }
    };
    let user_id = user_id?;
    if let HomeserverAddress::ServerName(name) = &address
        && user_id.server_name() != Some(name.as_str())
    {
        let sentence = format!(
            "{} is {name}, but {} is {user_id}; the account must be on that server",
            reader.place("homeserver.server_name"),
            reader.place("homeserver.user_id")
        );
        return Err(reader.note(sentence));
    }
    Ok(Homeserver { address, user_id })
}

fn store(reader: &mut Reader) -> Result<Store, Noted> {
    let path = reader.path("store.path");
    let passphrase = reader.secret("store.passphrase");
    let retention = reader.value("store.retention", parse::duration);
    let path = path?.ok_or_else(|| reader.note("store.path is not set"));
    Ok(Store { path: path?, passphrase: passphrase?, retention: retention? })
}

fn janitor(reader: &mut Reader) -> Result<Janitor, Noted> {
    let mode = reader.value("janitor.mode", parse::mode);
    let sweep_interval = reader.value("janitor.sweep_interval", parse::duration);
    let device_check_interval = reader.value("janitor.device_check_interval", parse::duration);
    let minimum_age = reader.value("janitor.minimum_age", parse::duration);
    let remote_device_lists = reader.value("janitor.remote_device_lists", parse::flag);
    let reread_interval = reader.value("janitor.reread_interval", parse::duration);
    Ok(Janitor {
        mode: mode?,
        sweep_interval: sweep_interval?,
        device_check_interval: device_check_interval?,
        minimum_age: minimum_age?,
        remote_device_lists: remote_device_lists?,
        reread_interval: reread_interval?,
    })
}

fn graces(reader: &mut Reader) -> Result<Graces, Noted> {
    let default = reader.value("grace.default", parse::grace);
    let not_joined = reader.grace("grace.not_joined");
    let expired = reader.grace("grace.expired");
    let device_gone = reader.grace("grace.device_gone");
    let device_gone_unseen = reader.grace("grace.device_gone_unseen");
    let superseded = reader.grace("grace.superseded");
    let not_on_sfu = reader.grace("grace.not_on_sfu");
    let device_idle = reader.grace("grace.device_idle");
    let silent = reader.grace("grace.silent");
    Ok(Graces {
        default: default?,
        not_joined: not_joined?,
        expired: expired?,
        device_gone: device_gone?,
        device_gone_unseen: device_gone_unseen?,
        superseded: superseded?,
        not_on_sfu: not_on_sfu?,
        device_idle: device_idle?,
        silent: silent?,
    })
}

fn rules(reader: &mut Reader) -> Result<Rules, Noted> {
    let silent_after = reader.value("rules.silent_after", parse::duration);
    let device_idle_after = reader.value("rules.device_idle_after", parse::duration);
    Ok(Rules { silent_after: silent_after?, device_idle_after: device_idle_after? })
}

fn limits(reader: &mut Reader) -> Result<Limits, Noted> {
    let per_sweep = reader.value("limits.per_sweep", parse::count);
    let per_room = reader.value("limits.per_room", parse::count);
    let per_hour = reader.value("limits.per_hour", parse::count);
    Ok(Limits { per_sweep: per_sweep?, per_room: per_room?, per_hour: per_hour? })
}

fn breaker(reader: &mut Reader) -> Result<Breaker, Noted> {
    let share = reader.value("breaker.share", parse::share);
    let minimum = reader.value("breaker.minimum", parse::count);
    let open_for = reader.value("breaker.open_for", parse::duration);
    let probe_for = reader.value("breaker.probe_for", parse::duration);
    Ok(Breaker { share: share?, minimum: minimum?, open_for: open_for?, probe_for: probe_for? })
}

fn rooms(reader: &mut Reader) -> Result<Rooms, Noted> {
    let include = reader.value("rooms.include", parse::rooms);
    let exclude = reader.value("rooms.exclude", parse::rooms);
    let accept_invites_from = reader.value("rooms.accept_invites_from", parse::user_globs);
    Ok(Rooms { include: include?, exclude: exclude?, accept_invites_from: accept_invites_from? })
}

fn admin_room(
    reader: &mut Reader,
    homeserver: Result<&Homeserver, &Noted>,
    login: Result<&Login, &Noted>,
) -> Result<AdminRoom, Noted> {
    let room = reader.need(
        "admin_room.room",
        parse::room,
        "write the id or alias of the room to report in, such as \"#janitor:example.org\"",
    );
    let command_prefix = reader.value("admin_room.command_prefix", parse::command_prefix);
    let power_level = reader.value("admin_room.power_level", parse::power_level);
    let admins = reader.value("admin_room.admins", parse::users);
    let alert = reader.value("admin_room.alert", parse::users);
    let digest = reader.value("admin_room.digest", parse::time_of_day);
    let recovery_key = reader.secret("admin_room.recovery_key");
    let chat = sign_in::chat(reader, homeserver, login);
    let (user_id, login) = chat?;
    Ok(AdminRoom {
        room: room?,
        command_prefix: command_prefix?,
        power_level: power_level?,
        admins: admins?,
        alert: alert?,
        digest: digest?,
        recovery_key: recovery_key?,
        user_id,
        login,
    })
}

fn log(reader: &mut Reader) -> Result<Log, Noted> {
    let format = reader.value("log.format", parse::log_format);
    let filter = reader.value("log.filter", parse::log_filter);
    Ok(Log { format: format?, filter: filter? })
}
