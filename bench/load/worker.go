package main

import (
	"bufio"
	"errors"
	"net"
	"time"
)

// Time that requests under way get after the end; then their connections are closed and they count as failed.
const grace = 60 * time.Second

type worker struct {
	opts   *options
	conn   net.Conn
	reader *bufio.Reader
	events *bufio.Reader
	body   []byte

	latencies   []time.Duration
	firstDeltas []time.Duration
	deltas      int
	all         int
	allDeltas   int
	errors      int
	firstError  error
}

func (w *worker) work() {
	for {
		dueAt, ok := w.next()
		if !ok {
			break
		}
		reply, err := w.ask(dueAt)
		if err != nil {
			w.failed(err)
			continue
		}
		w.count(dueAt, reply)
	}
	w.disconnect()
}

// next waits until the next request is due: at once in a closed loop, else at the next slot of the shared timetable.
func (w *worker) next() (time.Time, bool) {
	now := time.Now()
	if w.opts.rate > 0 {
		slot := float64(w.opts.slots.Add(1)-1) / w.opts.rate
		now = w.opts.startedAt.Add(time.Duration(slot * float64(time.Second)))
	}
	if !now.Before(w.opts.until) {
		return now, false
	}
	time.Sleep(time.Until(now))
	return now, true
}

func (w *worker) ask(dueAt time.Time) (answer, error) {
	if w.conn == nil {
		if err := w.connect(); err != nil {
			return answer{}, err
		}
	}
	if _, err := w.conn.Write(w.opts.request); err != nil {
		return answer{}, err
	}
	return w.read(dueAt)
}

func (w *worker) connect() error {
	conn, err := net.DialTimeout("tcp", w.opts.address, 10*time.Second)
	if err != nil {
		return err
	}
	w.conn = conn
	w.reader = bufio.NewReaderSize(conn, 32*1024)
	return conn.SetDeadline(w.opts.until.Add(grace))
}

func (w *worker) disconnect() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

func (w *worker) count(dueAt time.Time, reply answer) {
	w.all++
	w.allDeltas += reply.deltas
	now := time.Now()
	if now.Before(w.opts.warmUntil) || now.After(w.opts.until) {
		return
	}
	w.latencies = append(w.latencies, now.Sub(dueAt))
	w.deltas += reply.deltas
	if reply.deltas > 0 {
		w.firstDeltas = append(w.firstDeltas, reply.firstDelta)
	}
}

// failed keeps the first error, and starts over with a new connection where the old one is in an unknown state.
func (w *worker) failed(err error) {
	w.errors++
	if w.firstError == nil {
		w.firstError = err
	}
	var refused *refusal
	if errors.As(err, &refused) {
		return
	}
	w.disconnect()
	time.Sleep(10 * time.Millisecond)
}
