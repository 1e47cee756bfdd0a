module bimetal.dev/gateway

go 1.26.0

replace bimetal.dev/contract => ../contract/go
