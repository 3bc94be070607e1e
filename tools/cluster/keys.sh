# Keys and tokens of the cluster. Sourced by cluster.

# write_keys makes the keys of the API server, and a token for each user. They are made
# anew for each cluster.
write_keys() {
	keys=$state/control/conf
	umask 077
	make_key server.key
	make_key ca.key
	make_key accounts.key
	quiet openssl req -x509 -key "$keys/ca.key" -days 365 -subj /CN=snatlab-cluster -out "$keys/ca.crt"
	quiet openssl req -new -key "$keys/server.key" -subj /CN=kube-apiserver -out "$keys/server.csr"
	echo "subjectAltName=IP:$network.2,IP:${services%.0/24}.1,DNS:kubernetes.default.svc" >"$keys/names"
	quiet openssl x509 -req -in "$keys/server.csr" -CA "$keys/ca.crt" -CAkey "$keys/ca.key" -CAcreateserial \
		-days 365 -extfile "$keys/names" -out "$keys/server.crt"

	add_user admin system:masters
	add_user system:kube-controller-manager system:masters
	add_user system:kube-scheduler ''
	add_user system:kube-proxy system:node-proxier
	for n in $(seq $most_nodes); do
		add_user "system:node:node$n" system:nodes
	done
	write_kubeconfig admin "$(token_of admin)" $kubeconfig
	for user in kube-controller-manager kube-scheduler; do
		write_kubeconfig $user "$(token_of "system:$user")" "$keys/$user.kubeconfig"
	done
	umask 022
}

make_key() { quiet openssl ecparam -genkey -name prime256v1 -noout -out "$keys/$1"; }

# quiet runs a command whose output is of interest only if it fails.
quiet() { "$@" >"$state/quiet" 2>&1 || fail "$* failed: $(cat $state/quiet)"; }

# add_user USER GROUP
add_user() { echo "$(openssl rand -hex 16),$1,$1,\"$2\"" >>"$keys/tokens.csv"; }

token_of() { sed -n "s/^\([^,]*\),$1,.*/\1/p" $state/control/conf/tokens.csv; }

# write_kubeconfig USER TOKEN FILE
write_kubeconfig() {
	cat >"$3" <<-END
		apiVersion: v1
		kind: Config
		clusters:
		- name: snatlab
		  cluster:
		    server: https://$network.2:6443
		    certificate-authority-data: $(base64 -w 0 $state/control/conf/ca.crt)
		users:
		- name: $1
		  user: {token: $2}
		contexts:
		- name: snatlab
		  context: {cluster: snatlab, user: $1}
		current-context: snatlab
	END
	chmod 600 "$3"
}
