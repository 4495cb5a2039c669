//! The server of the guide to tonic.

use std::{pin::Pin, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::time::sleep;
use tokio_stream::{Stream, StreamExt};
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Channel, Endpoint, Server, Uri},
};
use tower::service_fn;
use tower_async_job::{AsyncJobLayer, JobContext};
use tower_poll::PreferAsync;

/// The generated code.
#[allow(missing_docs, unreachable_pub)]
pub mod generated {
    tonic::include_proto!("greeter");
}

use generated::{
    GreetRequest, Greeting,
    greeter_server::{Greeter, GreeterServer},
};

/// The maximum size of a message that the server reads.
const LARGE: usize = 64 << 20;

type Greetings = Pin<Box<dyn Stream<Item = Result<Greeting, Status>> + Send>>;

/// A greeter that thinks for ten seconds, and repeats the metadata `x-tenant` of a call.
struct Slow;

fn greeting(name: &str) -> Greeting {
    Greeting {
        text: format!("Hello, {name}!"),
    }
}

async fn think(job: &JobContext) {
    for second in 1..=10 {
        sleep(Duration::from_secs(1)).await;
        job.progress_of(second, 10);
    }
}

#[tonic::async_trait]
impl Greeter for Slow {
    type GreetInTurnStream = Greetings;
    type GreetAllStream = Greetings;

    async fn greet(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        think(&JobContext::from_extensions(request.extensions())).await;
        let tenant = request.metadata().get("x-tenant").cloned();
        let mut response = Response::new(greeting(&request.into_inner().name));
        if let Some(tenant) = tenant {
            response.metadata_mut().insert("x-tenant", tenant);
        }
        Ok(response)
    }

    async fn greet_in_turn(
        &self,
        request: Request<GreetRequest>,
    ) -> Result<Response<Greetings>, Status> {
        let name = request.into_inner().name;
        let greetings = tokio_stream::iter(0..10).then(move |_| {
            let greeting = greeting(&name);
            async move {
                sleep(Duration::from_secs(1)).await;
                Ok(greeting)
            }
        });
        Ok(Response::new(Box::pin(greetings)))
    }

    async fn greet_all(
        &self,
        request: Request<Streaming<GreetRequest>>,
    ) -> Result<Response<Greetings>, Status> {
        let greetings = request.into_inner();
        let greetings = greetings.map(|request| Ok(greeting(&request?.name)));
        Ok(Response::new(Box::pin(greetings)))
    }

    async fn snub(&self, request: Request<GreetRequest>) -> Result<Response<Greeting>, Status> {
        think(&JobContext::from_extensions(request.extensions())).await;
        Err(Status::failed_precondition("not on speaking terms"))
    }
}

/// Creates the request of a call that may become a job.
///
/// ```
/// assert_eq!(guides::patient("Ada").get_ref().name, "Ada");
/// ```
pub fn patient(name: &str) -> Request<GreetRequest> {
    let name = name.to_owned();
    let mut request = Request::new(GreetRequest { name });
    request.extensions_mut().insert(PreferAsync);
    request
}

/// Starts a server in this process with the layer around its greeter, which takes ten seconds for a
/// greeting, and returns a channel to it.
///
/// ```
/// guides::paused(async {
///     guides::connect(tower_async_job::AsyncJobLayer::new()).await;
/// });
/// ```
///
/// # Panics
///
/// Panics if there is no connection.
pub async fn connect(jobs: AsyncJobLayer) -> Channel {
    let (client, server) = tokio::io::duplex(64 << 10);
    let greeter = GreeterServer::new(Slow).max_decoding_message_size(LARGE);
    let serving = Server::builder()
        .layer(jobs)
        .add_service(greeter)
        .serve_with_incoming(tokio_stream::once(Ok::<_, std::io::Error>(server)));
    tokio::spawn(serving);
    let mut client = Some(client);
    let connector = service_fn(move |_: Uri| {
        let client = client.take().map(TokioIo::new);
        async move { client.ok_or_else(|| std::io::Error::other("there is one connection")) }
    });
    let endpoint = Endpoint::from_static("http://greeter.internal");
    let channel = endpoint.connect_with_connector(connector).await;
    channel.expect("a connection")
}
