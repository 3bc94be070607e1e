package result

// Service is an address that no machine has. Rules translate it to that of one of the
// backends, drawn for each connection.
type Service struct {
	Address  string   `json:"address"`
	Backends []string `json:"backends"` // addresses
}
