use super::*;
use crate::{
    ids::RoomId,
    survey::{
        Scope,
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

#[test]
fn a_plan_to_get_into_rooms_names_each_and_why_the_others_are_left_out() {
    let (survey, id) = (found(Scope::All), PlanId::numbered(1));
    let shown = ShownJoins { id: &id, survey: &survey, prefix: "!janitor" };
    let (message, proposals) = shown.message();
    assert_eq!(proposals.len(), 4);
    insta::assert_snapshot!(show(&message));

    let mut nothing = found("nowhere".parse().expect("a scope"));
    nothing.rooms.clear();
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
    insta::assert_snapshot!([over, begun].map(|joins| show(&joins.message())).join("\n\n========\n\n"));
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
    assert!(all.starts_with("The last survey (2 h ago) found 6 more rooms with open memberships"), "{all}");
    assert!(all.contains("Private") && !all.contains("Fine"), "{all}");
    let fewer = told(&["!private:hs"]);
    assert!(fewer.contains("found 5 more rooms") && !fewer.contains("Private"), "{fewer}");
    let ids = ["!private:hs", "!public:hs", "!banned:hs", "!upgraded:hs", "!remote:hs", "!powerless:hs"];
    assert_eq!(told(&ids), "The last survey (2 h ago) found no other room that I cannot see or clear.");
}
