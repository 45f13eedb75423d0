package database_test

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"purser/database"
	"purser/testdb"
)

func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t, database.WithConnsMax(1))
	// Every transaction keeps the sum of both accounts at zero.
	mustExec(t, db.Write, `CREATE TABLE account (name text PRIMARY KEY, amount bigint NOT NULL, filler blob)`)
	mustExec(t, db.Write, `INSERT INTO account (name, amount, filler) VALUES ('a', 0, zeroblob(200000)), ('b', 0, zeroblob(200000))`)
	ctx, stop := context.WithCancel(t.Context())
	started := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			tx, err := db.Write.BeginTx(t.Context(), nil)
			if err != nil {
				t.Error(err)
				return
			}
			for name, amount := range map[string]int{"a": 1, "b": -1} {
				if _, err := tx.ExecContext(t.Context(), `UPDATE account SET amount = amount + ? WHERE name = ?`, amount, name); err != nil {
					t.Error(err)
				}
			}
			if err := tx.Commit(); err != nil {
				t.Error(err)
			}
			if n == 0 {
				close(started)
			}
		}
	})
	<-started
	dir := t.TempDir()
	for _, name := range []string{"one.db", "two's.db"} {
		path := filepath.Join(dir, name)
		if err := database.Backup(t.Context(), db.Read, path); err != nil {
			t.Errorf("back up to %s: %v", name, err)
			continue
		}
		wantPrivate(t, path)
		copied := testdb.Open(t, "sqlite:"+path)
		var check string
		if err := copied.Read.QueryRowContext(t.Context(), `PRAGMA integrity_check`).Scan(&check); err != nil || check != "ok" {
			t.Errorf("%s: integrity check: %q, %v", name, check, err)
		}
		if sum := testdb.Count(t, copied.Read, `SELECT sum(amount) FROM account`); sum != 0 {
			t.Errorf("%s: sum = %d, want 0: the copy is torn", name, sum)
		}
		if amount := testdb.Count(t, copied.Read, `SELECT amount FROM account WHERE name = 'a'`); amount < 1 {
			t.Errorf("%s: amount = %d, want what was committed before", name, amount)
		}
	}
	stop()
	group.Wait()
	if _, err := db.Read.ExecContext(t.Context(), `DELETE FROM account`); err == nil {
		t.Error("the reading pool writes after a backup")
	}
}

func TestBackupRefusesAnExistingFileAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	db := testdb.SQLite(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "kept.db")
	if err := os.WriteFile(path, []byte("kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := database.Backup(t.Context(), db.Read, path); err == nil {
		t.Error("an existing file was accepted")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := database.Backup(ctx, db.Read, filepath.Join(dir, "cancelled.db")); err == nil {
		t.Error("a cancelled backup succeeded")
	}
	if err := database.Backup(t.Context(), db.Read, filepath.Join(dir, "absent", "a.db")); err == nil {
		t.Error("a backup into an absent folder succeeded")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) != 1 {
		t.Errorf("%d files, want only the one that was there", len(entries))
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "kept" {
		t.Errorf("the existing file holds %q, %v", content, err)
	}
}
