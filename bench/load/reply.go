package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http/httputil"
	"strconv"
	"time"
)

// answer is what is counted of a reply that is in order.
type answer struct {
	deltas     int
	firstDelta time.Duration
}

// refusal is a reply that was read to its end, so that its connection can go on, but is not what was asked for.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

type head struct {
	status    int
	length    int
	isChunked bool
	isLast    bool
}

func (w *worker) read(dueAt time.Time) (answer, error) {
	head, err := w.readHead()
	if err != nil {
		return answer{}, err
	}
	defer func() {
		if head.isLast {
			w.disconnect()
		}
	}()
	if w.opts.isStream && head.status == w.opts.check.status {
		return w.readStream(head, dueAt)
	}
	if err := w.readBody(head); err != nil {
		return answer{}, err
	}
	return answer{}, w.opts.check.reply(head.status, w.body)
}

func (w *worker) readHead() (head, error) {
	found := head{length: -1}
	line, err := w.reader.ReadSlice('\n')
	if err != nil {
		return found, err
	}
	if len(line) < 12 || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return found, fmt.Errorf("not HTTP: %q", line)
	}
	found.status, _ = strconv.Atoi(string(line[9:12]))
	for {
		line, err = w.reader.ReadSlice('\n')
		if err != nil {
			return found, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if len(line) == 0 {
			return found, nil
		}
		found.take(line)
	}
}

func (h *head) take(line []byte) {
	name, value, _ := bytes.Cut(line, []byte(":"))
	value = bytes.TrimSpace(value)
	switch {
	case bytes.EqualFold(name, []byte("content-length")):
		h.length, _ = strconv.Atoi(string(value))
	case bytes.EqualFold(name, []byte("transfer-encoding")):
		h.isChunked = bytes.EqualFold(value, []byte("chunked"))
	case bytes.EqualFold(name, []byte("connection")):
		h.isLast = bytes.EqualFold(value, []byte("close"))
	}
}

// bodyReader reads to the body's end; what follows a chunked body is read by endBody.
func (w *worker) bodyReader(h head) io.Reader {
	if h.isChunked {
		return httputil.NewChunkedReader(w.reader)
	}
	if h.length >= 0 {
		return io.LimitReader(w.reader, int64(h.length))
	}
	return w.reader
}

func (w *worker) readBody(h head) error {
	w.body = w.body[:0]
	if !h.isChunked && h.length >= 0 {
		w.body = append(w.body, make([]byte, h.length)...)
		_, err := io.ReadFull(w.reader, w.body)
		return err
	}
	into := bytes.NewBuffer(w.body)
	if _, err := into.ReadFrom(w.bodyReader(h)); err != nil {
		return err
	}
	w.body = into.Bytes()
	return w.endBody(h)
}

func (w *worker) endBody(h head) error {
	for h.isChunked {
		line, err := w.reader.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= 2 {
			break
		}
	}
	return nil
}

func (w *worker) readStream(h head, dueAt time.Time) (answer, error) {
	var seen answer
	isDone := false
	if w.events == nil {
		w.events = bufio.NewReaderSize(nil, 32*1024)
	}
	w.events.Reset(w.bodyReader(h))
	for {
		line, err := w.events.ReadSlice('\n')
		switch {
		case bytes.HasPrefix(line, []byte("data: [DONE]")):
			isDone = true
		case bytes.HasPrefix(line, []byte("data: ")) && hasText(line, contentField):
			if seen.deltas == 0 {
				seen.firstDelta = time.Since(dueAt)
			}
			seen.deltas++
		case bytes.HasPrefix(line, []byte(`data: {"error"`)):
			return seen, fmt.Errorf("the stream failed: %s", line)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return seen, err
		}
	}
	if !isDone || seen.deltas == 0 {
		return seen, fmt.Errorf("a stream ended after %d deltas, [DONE]: %t", seen.deltas, isDone)
	}
	return seen, w.endBody(h)
}
