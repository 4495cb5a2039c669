//! The task that records one result.
//!
//! It gathers chunks until there are more bytes than stay in the job store. From then on it uploads
//! parts, one at a time, while it gathers the next. So it holds two parts and two chunks at most.

use std::{
    future::poll_fn,
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
};

use bytes::Bytes;
use futures_util::{
    FutureExt,
    future::{Either, select},
};
use object_store::MultipartUpload;
use tokio::sync::{mpsc, oneshot, watch};
use tower_async_job_core::StoreError;

use crate::{
    object::{Object, Objects},
    reference::{Layout, Reference},
};

use super::gathered::Gathered;

/// A message to the task.
pub(super) enum Message {
    Chunk(u32, Bytes),
    Finish,
}

/// A result that was recorded as a whole.
#[derive(Clone, Debug)]
pub(crate) enum Written {
    /// It is short, and belongs into the job store.
    Inside(Vec<(u32, Bytes)>),
    /// Its object is complete.
    Outside(Reference),
}

pub(super) type Outcome = Result<Written, StoreError>;

pub(super) struct Task {
    pub(super) objects: Arc<Objects>,
    pub(super) object: Object,
    pub(super) threshold: u64,
    pub(super) received: mpsc::Receiver<Message>,
    pub(super) outcome: watch::Sender<Option<Outcome>>,
    /// Resolves once the result is given up, or stored.
    pub(super) given_up: oneshot::Receiver<()>,
    /// True if the job may have ended with the object.
    pub(super) is_kept: Arc<AtomicBool>,
}

/// The length of a result, which decides if it stays in the job store.
enum Length {
    Short,
    Long,
}

/// An event while a result is uploaded.
enum Event {
    Came(Option<Message>),
    Put(Result<(), StoreError>),
}

impl Task {
    pub(super) async fn run(mut self) {
        let mut chunks = Vec::new();
        match self.gather(&mut chunks).await {
            Some(Length::Short) => return self.tell(Ok(Written::Inside(chunks))),
            Some(Length::Long) => {}
            None => return,
        }
        // It is not interrupted: an upload that has begun can only be aborted once it is known.
        let begun = AssertUnwindSafe(self.objects.begin(&self.object)).catch_unwind();
        let mut upload = match begun.await.unwrap_or_else(|_| Err(panicked())) {
            Ok(upload) => upload,
            Err(error) => return self.tell(Err(error)),
        };
        match self.upload(&mut *upload, chunks).await {
            Some(Ok(layout)) => self.complete(&mut *upload, layout).await,
            Some(Err(error)) => {
                self.tell(Err(error));
                self.abort(&mut *upload).await;
            }
            None => self.abort(&mut *upload).await,
        }
    }

    /// Gathers chunks until the result ends, or is too long for the job store. `None` if it is given
    /// up.
    async fn gather(&mut self, chunks: &mut Vec<(u32, Bytes)>) -> Option<Length> {
        loop {
            match self.received.recv().await? {
                Message::Finish => return Some(Length::Short),
                Message::Chunk(index, data) => {
                    match chunks.iter_mut().find(|chunk| chunk.0 == index) {
                        Some(chunk) => chunk.1 = data,
                        None => chunks.push((index, data)),
                    }
                }
            }
            let len: u64 = chunks.iter().map(|chunk| chunk.1.len() as u64).sum();
            if len > self.threshold {
                return Some(Length::Long);
            }
        }
    }

    /// Uploads the result to its end; `None` if it is given up.
    async fn upload(
        &mut self,
        upload: &mut dyn MultipartUpload,
        chunks: Vec<(u32, Bytes)>,
    ) -> Option<Result<Layout, StoreError>> {
        let parts = Parts {
            objects: &self.objects,
            object: &self.object,
            upload,
            gathered: Gathered::default(),
            layout: Layout::default(),
        };
        let uploaded = AssertUnwindSafe(parts.upload(chunks, &mut self.received)).catch_unwind();
        match select(&mut self.given_up, pin!(uploaded)).await {
            Either::Left(_) => None,
            Either::Right((Ok(uploaded), _)) => uploaded,
            Either::Right((Err(_), _)) => Some(Err(panicked())),
        }
    }

    /// Makes the object visible, and keeps it while its result may be stored.
    async fn complete(&mut self, upload: &mut dyn MultipartUpload, layout: Layout) {
        let completed =
            AssertUnwindSafe(self.objects.complete(&self.object, upload)).catch_unwind();
        if let Err(error) = completed.await.unwrap_or_else(|_| Err(panicked())) {
            self.tell(Err(error));
            self.abort(upload).await;
            // It may be there nevertheless.
            self.delete().await;
            return;
        }
        let day = self.object.day;
        self.tell(Ok(Written::Outside(Reference { day, layout })));
        // An error: it was given up, as expected.
        let _ = (&mut self.given_up).await;
        if !self.is_kept.load(Ordering::Acquire) {
            self.delete().await;
        }
    }

    async fn delete(&self) {
        let object = &self.object;
        self.objects.delete(&object.path(), &object.lease).await;
    }

    async fn abort(&self, upload: &mut dyn MultipartUpload) {
        let aborted = self.objects.abort(&self.object, upload);
        if AssertUnwindSafe(aborted).catch_unwind().await.is_err() {
            tracing::error!(object = %self.object, "the object store panicked");
        }
    }

    /// Publishes the outcome. No further message is taken.
    fn tell(&mut self, outcome: Outcome) {
        self.outcome.send_replace(Some(outcome));
        self.received.close();
    }
}

fn panicked() -> StoreError {
    StoreError::unavailable("the object store panicked")
}

/// The parts of one upload.
struct Parts<'a> {
    objects: &'a Objects,
    object: &'a Object,
    upload: &'a mut dyn MultipartUpload,
    gathered: Gathered,
    layout: Layout,
}

type Putting<'a> = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send + 'a>>;

impl<'a> Parts<'a> {
    async fn upload(
        mut self,
        chunks: Vec<(u32, Bytes)>,
        received: &mut mpsc::Receiver<Message>,
    ) -> Option<Result<Layout, StoreError>> {
        for (index, data) in chunks {
            self.push(index, data);
        }
        let (mut putting, mut is_last) = (None, false);
        loop {
            let is_part = self.gathered.len() >= self.objects.part;
            if putting.is_none() && (is_part || is_last && self.gathered.len() > 0) {
                putting = Some(self.put());
            }
            if putting.is_none() && is_last {
                return Some(Ok(self.layout));
            }
            match next(
                &mut putting,
                (!is_part && !is_last).then_some(&mut *received),
            )
            .await
            {
                Event::Put(Ok(())) => putting = None,
                Event::Put(Err(error)) => return Some(Err(error)),
                Event::Came(Some(Message::Chunk(index, data))) => self.push(index, data),
                Event::Came(Some(Message::Finish)) => {
                    is_last = true;
                    received.close();
                }
                Event::Came(None) => return None,
            }
        }
    }

    fn push(&mut self, index: u32, data: Bytes) {
        // Chunks are far shorter.
        let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
        self.layout.push(index, size);
        self.gathered.push(data);
    }

    fn put(&mut self) -> Putting<'a> {
        let part = self.upload.put_part(self.gathered.take(self.objects.part));
        let (objects, object) = (self.objects, self.object);
        Box::pin(async move { objects.put(object, part).await })
    }
}

/// Returns the next event: the end of the part that is being put, or a message.
async fn next(
    putting: &mut Option<Putting<'_>>,
    mut received: Option<&mut mpsc::Receiver<Message>>,
) -> Event {
    poll_fn(|cx| {
        if let Some(putting) = putting
            && let Poll::Ready(put) = putting.as_mut().poll(cx)
        {
            return Poll::Ready(Event::Put(put));
        }
        match &mut received {
            Some(received) => received.poll_recv(cx).map(Event::Came),
            None => Poll::Pending,
        }
    })
    .await
}
