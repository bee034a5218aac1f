package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"
)

var words = strings.Fields(text)

// stream sends one token a delta and flushes each, so that every delta is a write of its own, as from a real model.
func stream(w http.ResponseWriter, r *http.Request, request *chatRequest, reply shape) {
	w.Header()["Content-Type"] = []string{"text/event-stream"}
	flusher := w.(http.Flusher)
	send := func(event []byte) bool {
		_, err := w.Write(event)
		flusher.Flush()
		return err == nil
	}
	head := `data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1700000000,"model":` +
		strconv.Quote(request.Model) + `,"choices":[`
	deltas := deltasOf(head)
	if reply.IdleSeconds > 0 {
		send(deltas[0])
		idle(r.Context(), reply.IdleSeconds)
		reply.Deltas = 0
	}
	started := time.Now()
	for sent := 0; sent < reply.Deltas; sent++ {
		time.Sleep(time.Until(started.Add(time.Duration(float64(sent) * reply.EveryMs * float64(time.Millisecond)))))
		if !send(deltas[sent%len(deltas)]) {
			return
		}
	}
	end := []byte(head + `{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\n")
	if request.StreamOptions.IncludeUsage {
		end = append(end, head+`],"usage":`...)
		end = append(appendUsage(end, max(reply.Deltas, 1)), "}\n\n"...)
	}
	send(append(end, "data: [DONE]\n\n"...))
}

// deltasOf gives one delta a word: gateways that look for a model in a loop would end a stream of equal ones.
func deltasOf(head string) [][]byte {
	events := make([][]byte, len(words))
	for index, word := range words {
		events[index] = []byte(head + `{"index":0,"delta":{"content":` + strconv.Quote(word+" ") + `},"finish_reason":null}]}` + "\n\n")
	}
	return events
}

func idle(closed context.Context, seconds float64) {
	select {
	case <-closed.Done():
	case <-time.After(time.Duration(seconds * float64(time.Second))):
	}
}
