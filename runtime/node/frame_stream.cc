#include "node/frame_stream.h"

#include <grpcpp/channel.h>

#include <utility>

#include "rpc/errors.h"

namespace rayx::node {

std::unique_ptr<proto::Node::Stub> MakeNodeStub(const rpc::RpcChannel& channel) {
  return proto::Node::NewStub(channel.grpc_channel());
}

void ReactorCount::Add() {
  std::lock_guard lock(mutex_);
  ++count_;
}

void ReactorCount::Remove() {
  std::lock_guard lock(mutex_);
  if (--count_ == 0) changed_.notify_all();
}

void ReactorCount::WaitForAll() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return count_ == 0; });
}

OutgoingStream::OutgoingStream(io::Loop& loop, std::shared_ptr<ReactorCount> count,
                               uint64_t connection,
                               std::shared_ptr<const OutgoingStreamEvents> events)
    : loop_(loop), count_(std::move(count)), connection_(connection), events_(std::move(events)) {
  count_->Add();
}

void OutgoingStream::Open(proto::Node::Stub& stub) {
  stub.async()->Frames(&context_, this);
  StartRead(&incoming_);
  AddHold();  // for the writes that the loop starts
  StartCall();
}

void OutgoingStream::Write(proto::FrameBatch batch) {
  outgoing_ = std::move(batch);
  StartWrite(&outgoing_);
}

void OutgoingStream::Cancel() {
  context_.TryCancel();
  RemoveHold();
}

void OutgoingStream::OnReadDone(bool ok) {
  if (!ok) {
    // The peer has ended the call: the loop lets go, and then OnDone comes.
    loop_.PostAlways([events = events_, connection = connection_] {
      events->on_end(connection, absl::UnavailableError("the stream was closed"));
    });
    return;
  }
  proto::FrameBatch message;
  message.Swap(&incoming_);
  loop_.Post([events = events_, connection = connection_, message = std::move(message)]() mutable {
    events->on_message(connection, std::move(message));
  });
  StartRead(&incoming_);
}

void OutgoingStream::OnWriteDone(bool ok) {
  if (!ok) return;  // OnReadDone(false) tells of the end
  loop_.PostAlways(
      [events = events_, connection = connection_] { events->on_written(connection); });
}

void OutgoingStream::OnDone(const grpc::Status&) {
  const std::shared_ptr<ReactorCount> count = count_;
  delete this;
  count->Remove();
}

void IncomingHandle::Acknowledge(const proto::FrameBatch& batch) {
  std::lock_guard lock(mutex_);
  if (stream_ == nullptr || closed_) return;
  if (writing_) {
    if (!waiting_) {
      waiting_ = batch;
    } else {
      waiting_->set_acknowledged(batch.acknowledged());
      waiting_->mutable_credits()->MergeFrom(batch.credits());
    }
    return;
  }
  writing_ = true;
  stream_->Write(batch);
}

void IncomingHandle::Close(const base::Status& why) {
  std::lock_guard lock(mutex_);
  if (stream_ == nullptr || closed_) return;
  closed_ = true;
  stream_->Close(why);
}

IncomingStream::IncomingStream(io::Loop& loop, std::shared_ptr<const IncomingStreamEvents> events)
    : loop_(loop), events_(std::move(events)) {
  handle_->stream_ = this;
}

void IncomingStream::OnMessage(proto::FrameBatch& message) {
  auto shared = std::make_shared<proto::FrameBatch>();
  shared->Swap(&message);
  const bool posted = loop_.Post(
      [events = events_, handle = handle_, shared] { events->on_message(handle, shared); });
  if (!posted) return handle_->Close(absl::UnavailableError("the node daemon is overloaded"));
  Read();
}

void IncomingStream::OnEnd() {
  loop_.PostAlways([events = events_, handle = handle_] { events->on_end(handle); });
  handle_->Close(absl::OkStatus());
}

void IncomingStream::OnMalformed(const base::Status& why) {
  loop_.PostAlways([events = events_, handle = handle_] { events->on_end(handle); });
  handle_->Close(why);
}

void IncomingStream::OnWritten(bool ok) {
  std::lock_guard lock(handle_->mutex_);
  handle_->writing_ = false;
  if (!ok || handle_->closed_ || !handle_->waiting_) return;
  handle_->writing_ = true;
  const proto::FrameBatch next = std::move(*handle_->waiting_);
  handle_->waiting_.reset();
  Write(next);
}

void IncomingStream::OnDone() {
  {
    std::lock_guard lock(handle_->mutex_);
    handle_->stream_ = nullptr;
  }
  ServerStreamBase::OnDone();
}

}  // namespace rayx::node
