//! The words for the forms of settings.

use crate::config::schema::Kind;

/// Returns the form of a value, as a noun phrase in Markdown.
pub(super) fn kind(kind: Kind) -> String {
    match kind {
        Kind::Boolean => "`true` or `false`".to_owned(),
        Kind::Time(least, most) => format!("time, {least} to {most}"),
        Kind::Size(least, most) => format!("size, {least} to {most}"),
        Kind::Number(unit, least, most) => {
            format!("number of {unit}, {} to {}", grouped(least), grouped(most))
        }
        Kind::Choice(values) => {
            let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
            match &values[..] {
                [first @ .., last] => format!("{} or {last}", first.join(", ")),
                [] => String::new(),
            }
        }
        Kind::Text(form) => form.to_owned(),
        Kind::List(form) => format!("array of {form}"),
        Kind::Numbers(least, most) => format!("array of numbers, {least} to {most}"),
        Kind::TextOrSecret(form) => format!("{form}; or a secret"),
        Kind::Secrets => "array of one secret or two".to_owned(),
    }
}

/// Returns a number with commas between its thousands.
fn grouped(number: &str) -> String {
    let digits = number.len();
    let comma = |at: usize| at > 0 && (digits - at).is_multiple_of(3);
    let chars = number.chars().enumerate();
    chars.fold(String::new(), |text, (at, digit)| match comma(at) {
        true => text + "," + &digit.to_string(),
        false => text + &digit.to_string(),
    })
}
