//! Plans are approved once, and what came of them is kept.

use rtc_janitor_core::survey::{How, JoinOutcome, JoinProposal};

use super::*;

#[test]
fn a_plan_is_approved_once_and_found_by_the_message_that_shows_it() {
    let mut journal = journal();
    journal.take_up(&"$command".into(), &"@alice:hs".into(), NOW).expect("SQLite");
    let (number, id) = journal.next_plan().expect("SQLite");
    let proposals = [Proposal { is_alive: false, ..proposal() }];
    let plan = NewPlan { id: (number, id.clone()), kind: PlanKind::Clear, proposals: &proposals };
    let messages = journal.show(&"$command".into(), &message("plan"), &plan, NOW).expect("SQLite");
    let [shown, tick] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(tick.target.as_ref().map(|(txn, _)| txn), Some(&shown.txn));
    assert_eq!(journal.unanswered().expect("SQLite"), []);
    assert_ne!(journal.next_plan().expect("SQLite").1, id);
    assert_eq!(journal.plan_shown_in::<StoredPlan>(&"$shown".into()).expect("SQLite"), Stored::Never);
    journal.sent(&shown.txn, &"$shown".into()).expect("SQLite");
    let plan =
        journal.plan_shown_in::<StoredPlan>(&"$shown".into()).expect("SQLite").read().expect("the plan");
    assert_eq!((&plan.id, plan.kind, plan.approved_by), (&id, PlanKind::Clear, None));
    assert_eq!(journal.event_showing(&id).expect("SQLite"), Some("$shown".into()));

    assert_eq!(journal.plans_under_way::<StoredPlan>().expect("SQLite"), []);
    for command in ["$one", "$two"] {
        journal.take_up(&command.into(), &"@alice:hs".into(), NOW).expect("SQLite");
    }
    assert!(journal.approve(&id, &"@alice:hs".into(), &"$one".into(), NOW).expect("SQLite"));
    assert!(!journal.approve(&id, &"@bob:hs".into(), &"$two".into(), NOW).expect("SQLite"), "two at once");
    assert_eq!(journal.unanswered().expect("SQLite"), ["$two".into()], "the plan itself is the answer");
    let under_way = journal.plans_under_way::<StoredPlan>().expect("SQLite");
    assert_eq!(under_way[0].approved_by, Some("@alice:hs".into()));
}

#[test]
fn no_tick_stands_ready_under_a_plan_that_could_drop_somebody() {
    let mut journal = journal();
    let gone = || Proposal { is_alive: false, is_unknown: false, ..proposal() };
    for (number, (there, messages)) in [
        (gone(), 2),
        (Proposal { is_alive: true, ..gone() }, 1),
        (Proposal { is_unknown: true, ..gone() }, 1),
    ]
    .into_iter()
    .enumerate()
    {
        let command = format!("${number}").into();
        journal.take_up(&command, &"@alice:hs".into(), NOW).expect("SQLite");
        let proposals = [gone(), there];
        let plan = NewPlan {
            id: journal.next_plan().expect("SQLite"),
            kind: PlanKind::Clear,
            proposals: &proposals,
        };
        let shown = journal.show(&command, &message("plan"), &plan, NOW).expect("SQLite");
        assert_eq!(shown.len(), messages, "{:?}", proposals[1]);
    }
}

#[test]
fn what_came_of_a_plan_is_read_back_as_it_was_written() {
    let mut journal = journal();
    let id = shown_plan(&mut journal);
    let mut plan = journal.plan::<StoredPlan>(&id).expect("SQLite").read().expect("the plan");
    plan.outcomes.insert("$e".into(), PlanOutcome::Refused("no".into()));
    plan.returned.push("$e".into());
    plan.ended = Some(NOW);
    let told = journal.tell_progress(&mut plan, Draft::of(message("done")), NOW).expect("SQLite");
    assert_eq!(plan.progress, Some(told.txn.clone()));
    assert_eq!(journal.plan::<StoredPlan>(&id).expect("SQLite").read().as_ref(), Some(&plan));
    let again = journal.tell_progress(&mut plan, Draft::of(message("more")), NOW).expect("SQLite");
    assert_eq!(again.target, Some((told.txn, None)));
}

#[test]
fn a_plan_to_get_into_rooms_is_kept_as_others_are_and_is_none_of_them() {
    let mut journal = journal();
    let (number, id) = journal.next_plan().expect("SQLite");
    journal.take_up(&"$command".into(), &"@alice:hs".into(), NOW).expect("SQLite");
    let rooms = [JoinProposal { room: "!1".into(), name: None, how: How::Join }];
    let shown = journal.show_joins(&"$command".into(), &message("plan"), &(number, id.clone()), &rooms, NOW);
    journal.sent(&shown.expect("SQLite")[0].txn, &"$shown".into()).expect("SQLite");
    assert!(journal.approve(&id, &"@alice:hs".into(), &"$one".into(), NOW).expect("SQLite"));

    let mut plan: JoinPlan = journal.plan(&id).expect("SQLite").read().expect("the plan");
    plan.outcomes.insert("!1".into(), JoinOutcome::Joined);
    let told = journal.tell_progress(&mut plan, Draft::of(message("done")), NOW).expect("SQLite");
    assert_eq!(plan.progress, Some(told.txn));
    assert_eq!(plan.rooms, rooms);
    assert_eq!(journal.plan_shown_in(&"$shown".into()).expect("SQLite"), Stored::Read(plan.clone()));
    assert_eq!(journal.plans_under_way::<JoinPlan>().expect("SQLite"), [plan]);

    assert_eq!(journal.plan::<StoredPlan>(&id).expect("SQLite"), Stored::Never);
    assert_eq!(journal.plans_under_way::<StoredPlan>().expect("SQLite"), []);
    let to_clear = shown_plan(&mut journal);
    assert_eq!(journal.plan::<JoinPlan>(&to_clear).expect("SQLite"), Stored::Never);
}
