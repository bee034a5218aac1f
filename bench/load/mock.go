package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

const text = "The quick brown fox jumps over the lazy dog while a patient scheduler writes each finished call to its " +
	"ledger, adds up what it cost, and answers only after the commit has returned. Nothing that was billed is ever " +
	"lost, and nothing is billed twice, however often a process is stopped in between the two."

const (
	promptTokens     = 24
	completionTokens = 60
)

// shape is how a reply comes. The last message's content may override it where it is JSON, since proxies pass on
// neither headers nor queries: {"deltas":100,"everyMs":20,"latencyMs":5} or {"idleSeconds":60}.
type shape struct {
	LatencyMs   float64 `json:"latencyMs"`
	Deltas      int     `json:"deltas"`
	EveryMs     float64 `json:"everyMs"`
	IdleSeconds float64 `json:"idleSeconds"`
}

type chatRequest struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	Messages []struct {
		Content json.RawMessage `json:"content"`
	} `json:"messages"`
}

type server struct{ usual shape }

func mock(args []string) error {
	flags := flag.NewFlagSet("load mock", flag.ExitOnError)
	port := flags.Int("port", 0, "port of 127.0.0.1; 0: a free one, which is printed")
	latency := flags.Float64("latency-ms", 0, "wait before a reply's first byte")
	deltas := flags.Int("deltas", 200, "deltas of a stream")
	every := flags.Float64("delta-every-ms", 0, "time between deltas; 0: as fast as it can")
	flags.Parse(args)

	listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(*port))
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/v1\n", listener.Addr())
	s := &server{shape{LatencyMs: *latency, Deltas: *deltas, EveryMs: *every}}
	routes := http.NewServeMux()
	routes.HandleFunc("POST /v1/chat/completions", s.chat)
	routes.HandleFunc("POST /v1/embeddings", s.embeddings)
	routes.HandleFunc("GET /v1/models", models)
	return http.Serve(listener, routes)
}

func (s *server) chat(w http.ResponseWriter, r *http.Request) {
	var request chatRequest
	if !decode(w, r, &request) {
		return
	}
	reply := s.shapeFor(&request)
	pause(reply.LatencyMs)
	if request.Stream {
		stream(w, r, &request, reply)
		return
	}
	body := make([]byte, 0, 1024)
	body = append(body, `{"id":"chatcmpl-bench","object":"chat.completion","created":1700000000,"model":`...)
	body = strconv.AppendQuote(body, request.Model)
	body = append(body, `,"choices":[{"index":0,"message":{"role":"assistant","content":"`+text+
		`","refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":`...)
	body = append(appendUsage(body, completionTokens), '}')
	sendJSON(w, body)
}

// shapeFor gives the usual shape, changed by what the last message says.
func (s *server) shapeFor(request *chatRequest) shape {
	reply := s.usual
	if len(request.Messages) == 0 {
		return reply
	}
	var content string
	last := request.Messages[len(request.Messages)-1].Content
	if json.Unmarshal(last, &content) == nil && len(content) > 0 && content[0] == '{' {
		_ = json.Unmarshal([]byte(content), &reply)
	}
	return reply
}

func appendUsage(to []byte, completion int) []byte {
	return fmt.Appendf(to, `{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d}`,
		promptTokens, completion, promptTokens+completion)
}

func models(w http.ResponseWriter, _ *http.Request) {
	sendJSON(w, []byte(`{"object":"list","data":[{"id":"bench","object":"model","created":1700000000,"owned_by":"bench"}]}`))
}

func decode(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(body, into)
	}
	if err != nil {
		http.Error(w, `{"error":{"message":"not JSON","type":"invalid_request_error"}}`, http.StatusBadRequest)
	}
	return err == nil
}

func sendJSON(w http.ResponseWriter, body []byte) {
	w.Header()["Content-Type"] = []string{"application/json"}
	w.Header()["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = w.Write(body)
}

func pause(ms float64) {
	if ms > 0 {
		time.Sleep(time.Duration(ms * float64(time.Millisecond)))
	}
}
