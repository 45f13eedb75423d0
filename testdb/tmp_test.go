package testdb_test
import ("testing";"time";"purser/testdb")
func TestTmp(t *testing.T){
 testdb.PostgresURL(t)
 s:=time.Now(); db:=testdb.PartitionedPostgres(t); t.Log(time.Since(s)); _=db
}
