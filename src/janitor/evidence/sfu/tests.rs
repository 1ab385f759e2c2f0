use rtc_janitor_core::judge::room::Participants;

use super::*;

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
const INTERVAL: Duration = Duration::from_secs(20);

fn at(seconds: u64) -> Timestamp {
    START + Duration::from_secs(seconds)
}

fn sfu() -> SfuEvidence {
    SfuEvidence::new(BTreeSet::new(), INTERVAL, SfuMemory::default())
}

/// Rooms by name, with their id at the SFU and who is there.
fn view(rooms: &[(&str, &str, &[&str])]) -> SfuView {
    let participants = |people: &[&str]| people.iter().map(|one| (*one).to_owned()).collect::<Participants>();
    rooms
        .iter()
        .map(|(name, sid, people)| {
            ((*name).to_owned(), SfuRoomView { sid: (*sid).to_owned(), participants: participants(people) })
        })
        .collect()
}

/// All calls have one name, that of their room.
fn asked_for(names: &[&str]) -> BTreeMap<String, RoomId> {
    names.iter().map(|name| ((*name).to_owned(), RoomId::from(*name))).collect()
}

/// The SFU answers for rooms `!1` and `!2`.
fn answer(sfu: &mut SfuEvidence, seconds: u64, rooms: &[(&str, &str, &[&str])]) -> SfuTaken {
    sfu.is_asked(true, at(seconds));
    sfu.take_in(asked_for(&["!1", "!2"]), Ok(view(rooms)), at(seconds), at(seconds))
}

fn fail(sfu: &mut SfuEvidence, seconds: u64, error: SfuError) -> SfuTaken {
    sfu.is_asked(true, at(seconds));
    sfu.take_in(asked_for(&["!1", "!2"]), Err(error), at(seconds), at(seconds))
}

fn down() -> SfuError {
    SfuError::Unreachable("connection refused".into())
}

/// Whether absence from `!1` counts.
fn counts(sfu: &SfuEvidence, seconds: u64) -> bool {
    matches!(sfu.room("!1", at(seconds)), SfuRoom::Participants(_))
}

#[test]
fn when_all_are_gone_at_once_nobody_is_absent_until_somebody_is_back_or_five_minutes_have_passed() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice"]), ("!2", "b", &["bob"])]);
    assert!(counts(&sfu, 0));
    assert!(answer(&mut sfu, 15, &[]).begins_anew);
    assert!(!counts(&sfu, 15) && !counts(&sfu, 314));
    assert!(counts(&sfu, 315), "five minutes later it is what it says");
    answer(&mut sfu, 30, &[("!2", "c", &["bob"])]);
    assert!(counts(&sfu, 30), "and so it is when somebody is back");
}

#[test]
fn an_sfu_that_lists_nobody_right_after_a_start_may_have_been_restarted_where_somebody_was_seen_there() {
    let seen = [("!1".into(), "k".into(), START)].into();
    let memory = SfuMemory { seen, ..SfuMemory::default() };
    let mut known = SfuEvidence::new(BTreeSet::new(), INTERVAL, memory);
    fail(&mut known, 0, down());
    answer(&mut known, 5, &[]);
    assert!(!counts(&known, 5) && counts(&known, 305));
    let mut fresh = sfu();
    answer(&mut fresh, 5, &[]);
    assert!(counts(&fresh, 5));
}

#[test]
fn the_first_return_is_told_apart_once_for_each_outage() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice"])]);
    assert!(sfu.is_first_return() && !sfu.is_first_return());
    fail(&mut sfu, 15, down());
    assert!(sfu.is_first_return());
    fail(&mut sfu, 30, down());
    answer(&mut sfu, 45, &[("!1", "a", &["alice"])]);
    assert!(!sfu.is_first_return(), "it is the same outage");
    answer(&mut sfu, 60, &[]);
    assert!(sfu.is_first_return(), "a restart that no question met");
}

#[test]
fn only_who_comes_into_a_room_that_was_asked_for_before_has_appeared() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice"])]);
    assert!(!sfu.has_appeared("!1", "alice"), "nobody knows since when");
    answer(&mut sfu, 15, &[("!1", "a", &["alice", "bob"])]);
    assert!(sfu.has_appeared("!1", "bob") && !sfu.has_appeared("!1", "alice"));
    answer(&mut sfu, 30, &[("!1", "a", &["alice", "bob"])]);
    assert!(!sfu.has_appeared("!1", "bob"));
}

#[test]
fn a_room_that_the_last_one_has_left_is_no_restart() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice"])]);
    let taken = answer(&mut sfu, 15, &[("!1", "a", &[])]);
    assert!(!taken.begins_anew && counts(&sfu, 15));
    assert_eq!(taken.changed, ["!1".into()].into());

    // The same name, and another room.
    answer(&mut sfu, 30, &[("!1", "a", &["alice"])]);
    assert!(answer(&mut sfu, 45, &[("!1", "b", &[])]).begins_anew);
    assert!(!counts(&sfu, 45));
}

#[test]
fn a_call_that_has_ended_everywhere_is_no_restart() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!2", "b", &["bob"])]);
    // Bob has left: nobody asks for his call any more.
    sfu.is_asked(true, at(15));
    let taken = sfu.take_in(asked_for(&["!1"]), Ok(view(&[])), at(15), at(15));
    assert!(!taken.begins_anew && counts(&sfu, 15));
}

#[test]
fn recorders_that_stay_are_nobody_who_came_back() {
    let mut sfu = sfu();
    let mut with_recorder = view(&[("!1", "a", &["alice", "EG_1"]), ("!2", "r", &["EG_2"])]);
    for (name, machine) in [("!1", "EG_1"), ("!2", "EG_2")] {
        with_recorder.get_mut(name).unwrap().participants.machines.insert(machine.into());
    }
    let only_recorder = SfuView::from([("!2".to_owned(), with_recorder["!2"].clone())]);
    for (seconds, view) in [(0, with_recorder), (15, only_recorder)] {
        sfu.is_asked(true, at(seconds));
        sfu.take_in(asked_for(&["!1", "!2"]), Ok(view), at(seconds), at(seconds));
    }
    assert!(!counts(&sfu, 15));
}

#[test]
fn while_it_does_not_answer_nothing_is_known_and_its_graces_begin_anew() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice"]), ("!2", "b", &["bob"])]);
    assert!(fail(&mut sfu, 20, down()).begins_anew);
    assert_eq!(sfu.room("!1", at(20)), SfuRoom::Unknown);
    assert!(!fail(&mut sfu, 25, down()).begins_anew, "only once");
    let taken = answer(&mut sfu, 30, &[("!1", "a", &["alice"])]);
    assert!(counts(&sfu, 30));
    assert_eq!(taken.changed, ["!2".into()].into());

    fail(&mut sfu, 50, down());
    answer(&mut sfu, 171, &[("!1", "a", &["alice"])]);
    assert!(!counts(&sfu, 171) && counts(&sfu, 471), "after a gap of over 2 min, 5 min later");
}

#[test]
fn people_are_told_once_why_it_does_not_answer_and_that_it_does_again() {
    let mut sfu = sfu();
    assert_eq!(fail(&mut sfu, 0, down()).tell, None, "it may be back in a moment");
    assert_eq!(fail(&mut sfu, 119, down()).tell, None);
    assert_eq!(fail(&mut sfu, 120, down()).tell, Some(down()));
    assert_eq!(fail(&mut sfu, 180, down()).tell, None);
    assert!(answer(&mut sfu, 240, &[]).is_back);
    assert!(!answer(&mut sfu, 260, &[]).is_back);
    assert_eq!(
        fail(&mut sfu, 280, SfuError::WrongKey).tell,
        Some(SfuError::WrongKey),
        "nobody else can help"
    );
    assert_eq!(fail(&mut sfu, 300, SfuError::WrongKey).tell, None);
}

#[test]
fn it_is_asked_in_its_interval_sooner_while_anybody_is_there_and_not_at_all_while_nobody_can_be() {
    let mut sfu = sfu();
    assert_eq!(sfu.next_question(at(0)), Some(at(0)));
    answer(&mut sfu, 0, &[]);
    assert_eq!(sfu.next_question(at(0)), Some(at(20)));
    answer(&mut sfu, 20, &[("!1", "a", &["alice"])]);
    assert_eq!(sfu.next_question(at(20)), Some(at(35)));
    sfu.opened();
    assert_eq!(sfu.next_question(at(20)), Some(at(35)), "one more is asked for with the rest");
    sfu.doubt();
    assert_eq!(sfu.next_question(at(20)), Some(at(21)));
    sfu.is_asked(true, at(21));
    assert_eq!(sfu.next_question(at(21)), None, "one question at a time");
    fail(&mut sfu, 21, SfuError::RateLimited { retry_after: Duration::from_secs(77) });
    assert_eq!(sfu.next_question(at(21)), Some(at(98)));

    sfu.is_asked(false, at(98));
    assert_eq!(sfu.next_question(at(98)), None);
    sfu.opened();
    assert_eq!(sfu.next_question(at(98)), Some(at(99)), "the first call after a while is asked for at once");
}

mod names {
    use super::*;
    use crate::world::livekit::{BadToken, NoProof};
    use rtc_janitor_core::rtc::{membership::Focus, sfu_names::Recipe};

    const SERVICE: &str = "https://jwt";

    fn room() -> RoomId {
        "!admin:hs".into()
    }

    fn names(configured: &[&str]) -> SfuNames {
        let configured = configured.iter().map(|name| (*name).to_owned()).collect();
        SfuNames::new(configured, BTreeSet::new(), BTreeMap::new())
    }

    fn proved(names: &mut SfuNames, seconds: u64, proof: Result<String, NoProof>) -> bool {
        names.is_asked(at(seconds));
        names.proved(&room(), vec![(SERVICE.to_owned(), proof)], at(seconds), at(seconds))
    }

    #[test]
    fn a_token_shows_whose_the_sfu_is_and_how_rooms_were_named_until_then() {
        let mut names = names(&[]);
        assert!(names.is_unknown() && !names.knows_room_of(at(0)));
        assert_eq!(names.next_question(at(5)), Some(at(5)), "it is found out at once");
        assert!(proved(&mut names, 10, Ok(Recipe::Json.name(&room()))));
        assert!(!names.is_unknown());
        assert!(
            names.knows_room_of(at(9)) && !names.knows_room_of(at(10)),
            "what began later may be named otherwise"
        );
        assert_eq!(names.next_question(at(10)), Some(at(10 + 6 * 3600)));
        names.want(at(9));
        assert_eq!(names.next_question(at(50)), Some(at(10 + 6 * 3600)), "that is known");
        names.want(at(11));
        assert_eq!(names.next_question(at(20)), Some(at(40)), "asked for again, and not at every turn");
    }

    #[test]
    fn a_token_for_another_sfu_proves_nothing_and_takes_back_what_was_proved() {
        let mut names = names(&[]);
        proved(&mut names, 0, Err(NoProof::OtherSfu(BadToken::Signature)));
        assert!(names.is_unknown() && names.failure().is_some());
        assert_eq!(names.next_question(at(0)), Some(at(60)), "tried again, less and less often");
        assert!(proved(&mut names, 60, Ok(Recipe::Pipe.name(&room()))));
        assert!(!names.is_unknown() && names.failure().is_none());
        assert!(!proved(&mut names, 90, Err(NoProof::NoToken("down".into()))));
        assert!(!names.is_unknown(), "a service that is down is no other's");
        assert!(proved(&mut names, 120, Err(NoProof::OtherSfu(BadToken::Key))));
        assert!(names.is_unknown());
    }

    #[test]
    fn a_name_made_in_an_unknown_way_teaches_nothing() {
        let mut names = names(&[SERVICE]);
        proved(&mut names, 10, Ok("what is this".into()));
        assert!(!names.knows_room_of(at(0)));
        proved(&mut names, 60, Ok(Recipe::Json.name(&room())));
        assert!(names.knows_room_of(at(0)));
        // The service was upgraded to one that nobody here knows.
        proved(&mut names, 120, Ok("what is this".into()));
        assert!(!names.knows_room_of(at(0)));
        assert!(names.failure().unwrap().contains("not known here"));
    }

    #[test]
    fn a_service_that_the_settings_name_and_that_stands_before_another_sfu_is_not_ours() {
        let focus = Focus { service_url: Some(SERVICE.into()), url: None, alias: None };
        let mut names = names(&[SERVICE]);
        assert!(names.is_ours(&focus));
        proved(&mut names, 0, Err(NoProof::OtherSfu(BadToken::Signature)));
        assert!(!names.is_ours(&focus));
        proved(&mut names, 60, Ok(Recipe::Json.name(&room())));
        assert!(names.is_ours(&focus));
    }

    #[test]
    fn what_contradicts_a_later_match_or_token_is_dropped() {
        let mut names = names(&[SERVICE]);
        assert!(names.matched(Recipe::RoomId, at(10)));
        assert!(!names.matched(Recipe::Pipe, at(5)), "an older call says nothing of how it is done now");
        assert!(names.knows_room_of(at(9)));
        // The service was upgraded.
        assert!(names.matched(Recipe::Json, at(20)));
        assert_eq!(names.recipes().keys().collect::<Vec<_>>(), [&Recipe::Json]);
        assert!(names.knows_room_of(at(19)) && !names.knows_room_of(at(20)));
        assert!(proved(&mut names, 30, Ok(Recipe::Pipe.name(&room()))));
        assert_eq!(names.recipes().keys().collect::<Vec<_>>(), [&Recipe::Pipe]);
    }
}

fn departure(room: &str, identity: &str) -> Departure {
    Departure { sfu_room: room.to_owned(), identity: identity.to_owned() }
}

fn announced(sfu: &mut SfuEvidence, seconds: u64, identities: &[&str]) {
    sfu.announced(identities.iter().map(|identity| (departure("!1", identity), at(seconds))).collect());
}

#[test]
fn when_it_tells_that_somebody_it_listed_has_left_it_is_asked_at_once() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice"])]);
    assert_eq!(sfu.next_question(at(5)), Some(at(15)));
    announced(&mut sfu, 5, &["somebody it never listed"]);
    assert_eq!(sfu.next_question(at(5)), Some(at(15)));
    announced(&mut sfu, 5, &["alice"]);
    assert_eq!(sfu.next_question(at(5)), Some(at(1)), "a second after the last question");
}

#[test]
fn however_much_it_tells_most_of_its_time_is_its_own() {
    let mut sfu = sfu();
    sfu.is_asked(true, at(0));
    let rooms = view(&[("!1", "a", &["alice"])]);
    sfu.take_in(asked_for(&["!1"]), Ok(rooms), at(0), at(0) + Duration::from_millis(800));
    announced(&mut sfu, 1, &["alice"]);
    assert_eq!(sfu.next_question(at(1)), Some(at(0) + Duration::from_millis(7200)));
    sfu.is_asked(true, at(20));
    sfu.take_in(asked_for(&["!1"]), Ok(view(&[("!1", "a", &["alice"])])), at(20), at(30));
    announced(&mut sfu, 30, &["alice"]);
    assert_eq!(sfu.next_question(at(30)), Some(at(35)), "and it is never asked later than without a word");
}

#[test]
fn however_many_are_announced_to_leave_it_may_have_restarted() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice", "bob"])]);
    announced(&mut sfu, 3, &["alice", "bob"]);
    let taken = answer(&mut sfu, 15, &[]);
    assert!(taken.begins_anew && taken.has_restarted && !counts(&sfu, 15));
    assert!(taken.gone.is_empty(), "what a restart does is no departure");
}

#[test]
fn who_is_gone_went_when_it_was_announced_or_else_when_it_was_seen() {
    let mut sfu = sfu();
    answer(&mut sfu, 0, &[("!1", "a", &["alice", "bob", "carol"])]);
    announced(&mut sfu, 3, &["alice"]);
    let taken = answer(&mut sfu, 15, &[("!1", "a", &["carol"])]);
    let gone = |who: &str| (RoomId::from("!1"), who.to_owned());
    let gone = [(gone("alice"), at(3)), (gone("bob"), at(15))];
    assert_eq!(taken.gone, gone.into());
    fail(&mut sfu, 30, down());
    let taken = answer(&mut sfu, 35, &[("!1", "a", &[])]);
    assert!(taken.gone.is_empty(), "nobody knows when");
}
