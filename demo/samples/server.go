package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
)

type Reading struct {
	Gauge string  `json:"gauge"`
	Value float64 `json:"value"`
}

func main() {
	http.HandleFunc("/readings", func(w http.ResponseWriter, r *http.Request) {
		readings := []Reading{{"inlet", 4.2}, {"outlet", 3.9}}
		if err := json.NewEncoder(w).Encode(readings); err != nil {
			fmt.Println("encode:", err)
		}
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
