//! The handlers, which do not depend on the layers.

use std::{pin::Pin, time::Duration};

use tokio::time::sleep;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use crate::greeter::{GreetRequest, Greeting, greeter_server};

const THINKING: Duration = Duration::from_millis(250);

type Greetings = Pin<Box<dyn Stream<Item = Result<Greeting, Status>> + Send>>;

pub(crate) struct Greeter;

#[tonic::async_trait]
impl greeter_server::Greeter for Greeter {
    type GreetInTurnStream = Greetings;
    type GreetAllStream = Greetings;

    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        sleep(THINKING).await;
        Ok(Response::new(greeting("Hello", &request.into_inner().name)))
    }

    async fn greet_in_turn(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<Greetings>, Status> {
        let name = request.into_inner().name;
        let greetings = tokio_stream::iter(["Hello", "Hallo", "Salut"])
            .map(move |word| Ok(greeting(word, &name)));
        Ok(Response::new(Box::pin(greetings)))
    }

    async fn greet_all(
        &self,
        request: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Greetings>, Status> {
        let greetings = request
            .into_inner()
            .map(|request| Ok(greeting("Hello", &request?.name)));
        Ok(Response::new(Box::pin(greetings)))
    }

    async fn snub(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        sleep(THINKING).await;
        let name = request.into_inner().name;
        Err(Status::failed_precondition(format!(
            "not on speaking terms with {name}"
        )))
    }
}

fn greeting(word: &str, name: &str) -> Greeting {
    Greeting {
        text: format!("{word}, {name}!"),
    }
}
