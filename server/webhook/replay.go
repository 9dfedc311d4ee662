package webhook

import (
	"context"
	"time"

	"amphi/server/store"
)

// replayEvery bounds a replay to ten events a second, as the contract says: a receiver that was down gets its past beside
// its present.
const replayEvery = 100 * time.Millisecond

// replays starts those that run on record and are not running here: new ones, and those that a killed server left.
func (s *Sender) replays(ctx, hard context.Context) {
	list, err := s.Store.RunningReplays(ctx)
	if err != nil && ctx.Err() == nil {
		s.Log.Error("could not look for replays of webhooks", "err", err)
	}
	for _, r := range list {
		s.mu.Lock()
		running := s.running[r.ID]
		s.running[r.ID] = true
		s.mu.Unlock()
		if running {
			continue
		}
		s.wg.Go(func() {
			s.replay(ctx, hard, r.ID)
			s.mu.Lock()
			delete(s.running, r.ID)
			s.mu.Unlock()
		})
	}
}

// replay sends a replay's events one after the other, each tried twice.
func (s *Sender) replay(ctx, hard context.Context, id string) {
	for ctx.Err() == nil {
		began := time.Now()
		e, ok, err := s.Store.NextReplayed(ctx, id)
		if err == nil && !ok {
			if err = s.Store.FinishReplay(ctx, id, time.Now()); err == nil {
				s.Log.Info("replayed webhooks", "replay", id)
				return
			}
		}
		if err == nil {
			err = s.again(ctx, hard, id, e)
		}
		if err != nil {
			if ctx.Err() == nil {
				s.Log.Error("could not go on with a replay of webhooks", "replay", id, "err", err)
			}
			sleep(ctx, errorPause)
			continue
		}
		sleep(ctx, s.replayEvery-time.Since(began))
	}
}

// again sends one event of a replay and records how that went.
func (s *Sender) again(ctx, hard context.Context, id string, e store.Event) error {
	e.Payload = asReplay(e.Payload)
	var url, reason string
	for attempt := range 2 {
		if attempt > 0 && !sleep(ctx, s.pause(0)) {
			return ctx.Err()
		}
		to, err := s.Store.Receiver(ctx, e.RoomID)
		if err != nil {
			return err
		}
		if url = to.URL; url == "" {
			reason = noWebhook
			break
		}
		host := hostOf(url)
		if !s.slots.acquire(ctx, host) {
			return ctx.Err()
		}
		failure := send(hard, s.client, s.Timeout, e, to)
		s.slots.release(host)
		if hard.Err() != nil && failure != nil {
			return hard.Err() // it is the next one after a restart
		}
		if failure == nil {
			reason = ""
			break
		}
		reason = failure.Error()
	}
	return s.Store.SettleReplayed(context.WithoutCancel(ctx), id, e.Seq, url, reason)
}

// asReplay marks a body as sent again. It is an object with at least one field: we made it.
func asReplay(body []byte) []byte {
	marked := make([]byte, 0, len(body)+len(`,"is_replay":true`))
	return append(append(marked, body[:len(body)-1]...), `,"is_replay":true}`...)
}
