//! Holds comments and documents to the language of the project: plain modern English, with summaries
//! that are noun phrases or third-person verbs.

mod repository;

mod findings;

mod source;
mod words;

mod rules;

#[cfg(test)]
mod fixtures;
