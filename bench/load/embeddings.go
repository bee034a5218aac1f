package main

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"sync"
)

const usualDimensions = 1536

type embeddingRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	Dimensions     int             `json:"dimensions"`
	EncodingFormat string          `json:"encoding_format"`
}

func (s *server) embeddings(w http.ResponseWriter, r *http.Request) {
	var request embeddingRequest
	if !decode(w, r, &request) {
		return
	}
	pause(s.usual.LatencyMs)
	if request.Dimensions == 0 {
		request.Dimensions = usualDimensions
	}
	count := inputs(request.Input)
	vector := vectorText(request.Dimensions, request.EncodingFormat == "base64")
	body := make([]byte, 0, 256+count*(len(vector)+64))
	body = append(body, `{"object":"list","data":[`...)
	for index := 0; index < count; index++ {
		if index > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"object":"embedding","index":`...)
		body = strconv.AppendInt(body, int64(index), 10)
		body = append(body, `,"embedding":`...)
		body = append(append(body, vector...), '}')
	}
	body = append(body, `],"model":`...)
	body = strconv.AppendQuote(body, request.Model)
	tokens := strconv.Itoa(8 * count)
	body = append(body, `,"usage":{"prompt_tokens":`+tokens+`,"total_tokens":`+tokens+`}}`...)
	sendJSON(w, body)
}

// inputs counts texts: a list of texts (or of lists of tokens) has several, all else is one.
func inputs(input json.RawMessage) int {
	var list []json.RawMessage
	if json.Unmarshal(input, &list) != nil || len(list) == 0 || (list[0][0] != '"' && list[0][0] != '[') {
		return 1
	}
	return len(list)
}

type vectorKind struct {
	dimensions int
	isBase64   bool
}

var vectorTexts sync.Map // vectorKind -> []byte

func vectorText(dimensions int, isBase64 bool) []byte {
	kind := vectorKind{dimensions, isBase64}
	if known, ok := vectorTexts.Load(kind); ok {
		return known.([]byte)
	}
	values := make([]float32, dimensions)
	raw := make([]byte, 0, 4*dimensions)
	for index := range values {
		values[index] = float32(math.Sin(float64(index+1)) / math.Sqrt(float64(dimensions)/2))
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(values[index]))
	}
	made, _ := json.Marshal(values)
	if isBase64 {
		made = []byte(`"` + base64.StdEncoding.EncodeToString(raw) + `"`)
	}
	vectorTexts.Store(kind, made)
	return made
}
