package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

type headerFlags []string

func (h *headerFlags) String() string     { return strings.Join(*h, ", ") }
func (h *headerFlags) Set(v string) error { *h = append(*h, v); return nil }

// options of one run. Only requests that end between warmUntil and until are counted.
type options struct {
	address     string
	request     []byte
	check       check
	isStream    bool
	rate        float64
	connections int
	startedAt   time.Time
	warmUntil   time.Time
	until       time.Time
	slots       atomic.Int64
}

func run(args []string) error {
	opts, err := parse(args)
	if err != nil {
		return err
	}
	workers := make([]*worker, opts.connections)
	var all sync.WaitGroup
	for index := range workers {
		workers[index] = &worker{opts: opts}
		all.Add(1)
		go func(w *worker) { defer all.Done(); w.work() }(workers[index])
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(reportOf(opts, workers))
}

func parse(args []string) (*options, error) {
	flags := flag.NewFlagSet("load run", flag.ExitOnError)
	base := flags.String("url", "", "base URL, such as http://127.0.0.1:8080/v1")
	path := flags.String("path", "/chat/completions", "path below the base URL")
	method := flags.String("method", "POST", "method")
	key := flags.String("key", "none", "API key, sent as a bearer token")
	connections := flags.Int("connections", 32, "connections, each with one request under way at most")
	seconds := flags.Float64("seconds", 5, "seconds that are measured")
	warmup := flags.Float64("warmup-seconds", 0, "seconds before those, not measured")
	rate := flags.Float64("rate", 0, "open loop: requests/s, timed from when each was due; 0: closed loop")
	isStream := flags.Bool("stream", false, "ask for and check a stream")
	model := flags.String("model", "bench", "model of the default body")
	content := flags.String("content", "Say something of sixty tokens about ledgers.", "last message of the default body")
	bodyFile := flags.String("body", "", "file with the body to send, instead of the default one")
	status := flags.Int("status", 200, "the status that is expected")
	contains := flags.String("contains", "", "a text that every reply must hold, instead of the check for a model's reply")
	var headers headerFlags
	flags.Var(&headers, "header", "a header, 'name: value'; may be repeated")
	flags.Parse(args)

	target, err := url.Parse(*base)
	if err != nil || target.Host == "" {
		return nil, fmt.Errorf("--url is needed, such as http://127.0.0.1:8080/v1")
	}
	body, err := bodyFor(*bodyFile, *path, *model, *content, *isStream)
	if err != nil {
		return nil, err
	}
	headers = append(headers, "authorization: Bearer "+*key)
	now := time.Now()
	warm := now.Add(time.Duration(*warmup * float64(time.Second)))
	return &options{
		address: target.Host, isStream: *isStream, rate: *rate, connections: *connections,
		request:   requestText(*method, target, *path, headers, body),
		check:     check{status: *status, contains: []byte(*contains), isEmbedding: *path == "/embeddings"},
		startedAt: now, warmUntil: warm, until: warm.Add(time.Duration(*seconds * float64(time.Second))),
	}, nil
}

func bodyFor(file, path, model, content string, isStream bool) ([]byte, error) {
	if file != "" {
		return os.ReadFile(file)
	}
	if path == "/embeddings" {
		return json.Marshal(map[string]any{"model": model, "input": content})
	}
	body := map[string]any{
		"model":    model,
		"messages": []map[string]string{{"role": "system", "content": "You are brief."}, {"role": "user", "content": content}},
	}
	if isStream {
		body["stream"] = true
		body["stream_options"] = map[string]bool{"include_usage": true}
	}
	return json.Marshal(body)
}

func requestText(method string, target *url.URL, path string, headers []string, body []byte) []byte {
	var text strings.Builder
	fmt.Fprintf(&text, "%s %s%s HTTP/1.1\r\nhost: %s\r\n", method, strings.TrimSuffix(target.Path, "/"), path, target.Host)
	for _, header := range headers {
		text.WriteString(header + "\r\n")
	}
	if method != "GET" {
		fmt.Fprintf(&text, "content-type: application/json\r\ncontent-length: %d\r\n\r\n%s", len(body), body)
		return []byte(text.String())
	}
	return []byte(text.String() + "\r\n")
}
