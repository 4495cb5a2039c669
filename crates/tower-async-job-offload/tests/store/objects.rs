//! An object store in memory whose calls fail on demand, and which counts the uploads that are open.

use std::{
    fmt,
    future::pending,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use futures_util::{StreamExt, TryStreamExt, stream::BoxStream};
use tower_async_job_offload::object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, memory::InMemory, path::Path,
};

/// A call to the object store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Step {
    Begin,
    Part,
    Complete,
    Abort,
    Get,
    List,
}

/// The way in which a call fails.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fault {
    Fails,
    /// It is refused for lack of permission.
    Denied,
    /// Its object or upload is not there, such as one that a rule has aborted.
    Gone,
    /// It fails after its effect.
    FailsLate,
    Hangs,
    Panics,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<Step>,
    /// The call that fails, and its number from 1.
    planned: Option<(Step, usize, Fault)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Objects {
    pub(crate) inner: Arc<InMemory>,
    state: Arc<Mutex<State>>,
}

impl Objects {
    /// Plans a fault of one call, counted from now.
    pub(crate) fn fail(&self, step: Step, number: usize, fault: Fault) {
        let number = self.calls(step) + number;
        self.state.lock().unwrap().planned = Some((step, number, fault));
    }

    pub(crate) fn calls(&self, step: Step) -> usize {
        let state = self.state.lock().unwrap();
        state.calls.iter().filter(|call| **call == step).count()
    }

    /// Returns the names of all objects.
    pub(crate) async fn names(&self) -> Vec<String> {
        let listed: Vec<_> = self.inner.list(None).try_collect().await.unwrap();
        listed
            .into_iter()
            .map(|object| object.location.to_string())
            .collect()
    }

    pub(crate) async fn only(&self) -> Path {
        let names = self.names().await;
        let [name] = &names[..] else {
            panic!("{names:?}")
        };
        Path::from(name.as_str())
    }

    pub(crate) async fn bytes(&self, path: &Path) -> Vec<u8> {
        let got = self.inner.get(path).await.unwrap();
        got.bytes().await.unwrap().to_vec()
    }

    fn next(&self, step: Step) -> Option<Fault> {
        let mut state = self.state.lock().unwrap();
        state.calls.push(step);
        let number = state.calls.iter().filter(|call| **call == step).count();
        let (planned, at, fault) = state.planned?;
        (planned == step && at == number).then_some(fault)
    }

    async fn call<T>(&self, step: Step, call: impl Future<Output = Result<T>>) -> Result<T> {
        match self.next(step) {
            None => call.await,
            Some(Fault::Fails) => Err(failed()),
            Some(Fault::Denied) => Err(Error::PermissionDenied {
                path: "x".into(),
                source: "AccessDenied".into(),
            }),
            Some(Fault::Gone) => Err(Error::NotFound {
                path: "x".into(),
                source: "NoSuchUpload".into(),
            }),
            Some(Fault::FailsLate) => {
                call.await?;
                Err(failed())
            }
            Some(Fault::Hangs) => pending().await,
            Some(Fault::Panics) => panic!("the object store panics"),
        }
    }
}

fn failed() -> Error {
    Error::Generic {
        store: "test",
        source: "out of reach".into(),
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("test")
    }
}

#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    objects: Objects,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let (put, objects) = (self.inner.put_part(data), self.objects.clone());
        Box::pin(async move { objects.call(Step::Part, put).await })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let completed = self.inner.complete();
        self.objects.call(Step::Complete, completed).await
    }

    async fn abort(&mut self) -> Result<()> {
        self.objects.call(Step::Abort, self.inner.abort()).await
    }
}

#[async_trait]
impl ObjectStore for Objects {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        unreachable!("objects are uploaded in parts")
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let begun = self.inner.put_multipart_opts(path, options);
        let inner = self.call(Step::Begin, begun).await?;
        let objects = self.clone();
        Ok(Box::new(Upload { inner, objects }))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.call(Step::Get, self.inner.get_opts(path, options))
            .await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.next(Step::List);
        self.inner.list(prefix).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        unreachable!("objects are not copied")
    }
}
