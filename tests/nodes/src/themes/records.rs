//! Records that cannot be read, as by another release or a damage of the data.

use std::time::Duration;

use http::StatusCode;

use crate::{
    node::{Node, id_of},
    nodes::Nodes,
    routes::slow,
    run::Ran,
};

const SHORT: Duration = Duration::from_millis(200);

pub(crate) async fn s41_a_job_of_a_newer_release_is_503_and_stays(data: &impl Nodes) -> Ran {
    let node = Node::new(data, slow(SHORT)).await?;
    let url = node.submit("/once").await;
    assert_eq!(node.ended(&url).await.body, "attempt 1");
    data.add_to_format(id_of(&url), 1).await?;
    let answer = node.get(&url).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_ne!(answer.header("retry-after"), "");
    data.add_to_format(id_of(&url), -1).await?;
    assert_eq!(node.get(&url).await.body, "attempt 1");
    Ok(())
}

pub(crate) async fn s42_a_damaged_job_is_500_and_others_go_on(data: &impl Nodes) -> Ran {
    let node = Node::new(data, slow(SHORT)).await?;
    let [damaged, other] = [node.submit("/once").await, node.submit("/once").await];
    assert_eq!(node.ended(&damaged).await.body, "attempt 1");
    data.corrupt(id_of(&damaged)).await?;
    for _ in 0..2 {
        let answer = node.get(&damaged).await;
        assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(answer.problem(), "record-unreadable");
    }
    assert_eq!(node.ended(&other).await.body, "attempt 1");
    Ok(())
}
