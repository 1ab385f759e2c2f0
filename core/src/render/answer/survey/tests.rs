use super::*;
use crate::{
    ids::RoomId,
    plan::PlanId,
    survey::{
        Cut, JoinOutcome, Scope,
        tests::{ME, found},
    },
};

fn show(message: &Message) -> String {
    format!("{}\n\n{}", message.plain, message.html)
}

#[test]
fn a_survey_says_the_totals_first_and_of_each_room_what_helps() {
    let (survey, me) = (found(Scope::All), ME.into());
    let message = SurveyFound { survey: &survey, me: &me, prefix: "!janitor" }.message();
    insta::assert_snapshot!(show(&message));
    let terminal: Vec<_> =
        survey_lines(&survey, &me, "https://hs/").into_iter().map(|lines| lines.join("\n")).collect();
    insta::assert_snapshot!(terminal.join("\n\n"));
}

/// A survey that came to 12 of 41 rooms, and found nothing there.
fn cut_short(cut: Cut) -> Survey {
    let survey = found(Scope::All);
    let of = if matches!(cut, Cut::NotListed(_)) { 14 } else { 41 };
    Survey { looked_at: 12, of: Some(of), cut: Some(cut), rooms: vec![], unread: vec![], ..survey }
}

#[test]
fn a_survey_that_was_cut_short_is_never_shown_as_complete() {
    let (me, id) = (ME.into(), PlanId::numbered(1));
    let cuts = [
        Cut::Stopped,
        Cut::TookTooLong(Duration::from_hours(1)),
        Cut::TooManyRooms(10_000),
        Cut::NotListed(2),
    ];
    let mut all = Vec::new();
    let mut surveys: Vec<_> = cuts.into_iter().map(cut_short).collect();
    surveys.push(Survey { of: None, looked_at: 0, ..cut_short(Cut::Stopped) });
    // One that has read all but one.
    surveys.push(Survey { rooms: vec![], ..found(Scope::All) });
    for survey in &surveys {
        let totals = survey_totals(survey).join("\n");
        let told = SurveyFound { survey, me: &me, prefix: "!janitor" }.message().plain;
        let problems = survey_problems(survey, &|_| false, &me, "!janitor", survey.at).plain;
        let plan = ShownJoins { id: &id, survey, prefix: "!janitor" }.message().0.plain;
        let terminal = proposed_joins(survey).0.join("\n");
        for text in [&totals, &told, &problems, &plan, &terminal] {
            assert!(
                text.contains("⚠️ Incomplete: ") || text.contains("⚠️ 1 room could not be read."),
                "{text}"
            );
            assert!(!text.contains("There is no room that I could get into"), "{text}");
        }
        all.push([totals, problems, plan].join("\n--\n"));
    }
    insta::assert_snapshot!(all.join("\n\n========\n\n"));

    let some = Survey { cut: Some(Cut::Stopped), of: Some(41), looked_at: 12, ..found(Scope::All) };
    let told = SurveyFound { survey: &some, me: &me, prefix: "!janitor" }.message().plain;
    assert!(told.contains("Rooms with open memberships, as far as I looked"), "{told}");
    let (lines, proposals) = proposed_joins(&some);
    assert_eq!(proposals.len(), 4);
    assert!(
        lines.join("\n").contains("⚠️ Incomplete: the survey was stopped after 12 of 41 rooms"),
        "{lines:?}"
    );
}

#[test]
fn what_a_survey_of_some_rooms_found_is_said_of_those_alone() {
    let survey = Survey { rooms: vec![], unread: vec![], ..found("Team*".parse().expect("a scope")) };
    let told = survey_problems(&survey, &|_| false, &ME.into(), "!janitor", survey.at).plain;
    assert_eq!(
        told,
        "The last survey (0 s ago, only of Team*) found no other room that I cannot see or clear."
    );
}

#[test]
fn a_survey_that_is_stopped_says_how_far_it_came_and_a_second_one_how_to_stop_it() {
    let reading = Progress::Rooms { done: 12, of: 41, open: 3 };
    let said = [
        survey_stopped(reading),
        survey_stopped(Progress::Listing { rooms: 500 }),
        no_survey_to_stop("!janitor"),
        survey_running(reading, Duration::from_secs(92), "!janitor"),
    ];
    insta::assert_snapshot!(said.map(|message| message.plain).join("\n"));
}

#[test]
fn a_plan_to_get_into_rooms_names_each_and_why_the_others_are_left_out() {
    let (survey, id) = (found(Scope::All), PlanId::numbered(1));
    let shown = ShownJoins { id: &id, survey: &survey, prefix: "!janitor" };
    let (message, proposals) = shown.message();
    assert_eq!(proposals.len(), 4);
    insta::assert_snapshot!(show(&message));

    let mut nothing = found("nowhere".parse().expect("a scope"));
    nothing.rooms.clear();
    nothing.unread.clear();
    let (message, proposals) = ShownJoins { survey: &nothing, ..shown }.message();
    assert_eq!(
        (message.plain.as_str(), proposals),
        ("🔭 There is no room that I could get into by myself.", vec![])
    );
}

#[test]
fn a_plan_of_more_rooms_than_a_message_holds_is_of_those_it_shows() {
    let (mut survey, id) = (found(Scope::All), PlanId::numbered(1));
    let public = survey.rooms.remove(1);
    survey.rooms = (0..200)
        .map(|number| {
            let mut room = public.clone();
            room.listed.room = format!("!{number}:hs").into();
            room
        })
        .collect();
    let (message, proposals) = ShownJoins { id: &id, survey: &survey, prefix: "!janitor" }.message();
    assert!(message.plain.contains(&format!("get into {} rooms", proposals.len())), "{}", message.plain);
    assert!(
        message.plain.contains(&format!("{} more are not part", 200 - proposals.len())),
        "{}",
        message.plain
    );
    let (lines, at_a_terminal) = proposed_joins(&survey);
    assert_eq!((at_a_terminal.len(), lines[0].as_str()), (50, "I would get into 50 rooms:"));
    assert!(lines.iter().any(|line| line.starts_with("150 more are not part of this plan")), "{lines:?}");
    for proposal in &at_a_terminal {
        let id = format!("({}): join it", proposal.room);
        assert!(lines.iter().any(|line| line.contains(&id)), "{id} is not shown");
    }
}

#[test]
fn each_room_of_a_plan_has_its_sentence() {
    let (survey, id, by) = (found(Scope::All), PlanId::numbered(1), "@boss:hs".into());
    let proposals: Vec<_> = survey.rooms.iter().filter_map(|room| room.proposal().ok()).collect();
    let came = [
        JoinOutcome::Joined,
        JoinOutcome::JoinedWithoutPower,
        JoinOutcome::InSuccessor("!new:hs".into()),
        JoinOutcome::Refused("No local admin <user> in room".into()),
    ];
    let outcomes = proposals.iter().zip(came.iter().map(Some)).collect();
    let over = JoinsUnderWay { id: &id, by: Some(&by), outcomes };
    let banned = JoinOutcome::Held("I am banned".into());
    let begun = JoinsUnderWay {
        outcomes: proposals.iter().zip([Some(&JoinOutcome::Raised), Some(&banned), None, None]).collect(),
        by: None,
        ..over.clone()
    };
    let failed = JoinOutcome::Failed("it took longer than 5 min".into());
    let refused = JoinOutcome::Held(say::left("the admin API refuses"));
    let cut = JoinsUnderWay {
        outcomes: proposals.iter().zip([Some(&failed), Some(&refused), None, None]).collect(),
        ..begun.clone()
    };
    insta::assert_snapshot!([over, begun, cut].map(|joins| show(&joins.message())).join("\n\n========\n\n"));
}

#[test]
fn rooms_that_the_bot_is_in_by_now_are_no_problem_any_more() {
    let (survey, me) = (found(Scope::All), ME.into());
    let now = survey.at + Duration::from_hours(2);
    let told = |joined: &[&str]| {
        let is_in = |room: &SurveyedRoom| joined.iter().any(|id| room.listed.room == RoomId::from(*id));
        survey_problems(&survey, &is_in, &me, "!janitor", now).plain
    };
    let all = told(&[]);
    assert!(all.contains("The last survey (2 h ago) found 6 more rooms with open memberships"), "{all}");
    assert!(all.contains("Private") && !all.contains("Fine"), "{all}");
    let fewer = told(&["!private:hs"]);
    assert!(fewer.contains("found 5 more rooms") && !fewer.contains("Private"), "{fewer}");
    let ids = ["!private:hs", "!public:hs", "!banned:hs", "!upgraded:hs", "!remote:hs", "!powerless:hs"];
    let none = told(&ids);
    assert!(
        none.ends_with("The last survey (2 h ago) found no other room that I cannot see or clear."),
        "{none}"
    );
    assert!(none.starts_with("⚠️ 1 room could not be read."), "{none}");
}
