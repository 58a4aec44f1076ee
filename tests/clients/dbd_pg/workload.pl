# Perl's DBD::Pg: statements prepared at the server from their second use on, and deallocated by SQL.  One story a run.

use strict;
use warnings;
use utf8;

use DBI;
use DBD::Pg qw(:pg_types :async);
use Digest::SHA qw(sha256_hex);
use Encode qw(encode_utf8);
use File::Basename qw(dirname);
use JSON::PP;

# How often a story asks which backend it is on; cases.py says why.
use constant ROUNDS => 24;
use constant INSERT => 'INSERT INTO account (id, owner, balance) VALUES (?, ?, ?)';

$| = 1;
my $json = JSON::PP->new->utf8->canonical;

sub note { my ($what, $value) = @_; print $json->encode({ note => $what, value => $value }), "\n" }

sub locate {
    my ($db, $name) = @_;
    my ($pid) = $db->selectrow_array('SELECT pg_backend_pid()');
    print $json->encode({ client => $name // 'one', pid => $pid + 0 }), "\n";
}

sub cases {
    open my $file, '<:raw', dirname(__FILE__) . '/../cases.json' or die $!;
    local $/;
    return $json->decode(<$file>);
}

sub connected {
    my %more = @_;
    return DBI->connect('dbi:Pg:', '', '', { RaiseError => 1, PrintError => 0, AutoCommit => 1, %more });
}

sub open_shop { my $db = shift; $db->do($_) for @{ cases()->{shop} } }

# The SQLSTATE of what must fail.
sub refused {
    my $work = shift;
    return eval { $work->(); 'no error' } // $DBI::state;
}

my %stories = (
    rows => sub {
        my ($one, $two, $three) = map { connected() } 1 .. 3;
        open_shop($one);
        my $insert = $one->prepare(INSERT);
        my $read   = $two->prepare('SELECT * FROM account WHERE id = ?');
        my $update = $three->prepare('UPDATE account SET balance = balance + ? WHERE id = ?');
        for my $n (0 .. ROUNDS - 1) {
            $insert->execute($n, "owner $n", $n / 4);
            $read->execute($n);
            note('read', $read->fetchall_arrayref);
            note('updated', $update->execute($n, $n));
            $one->do('DELETE FROM account WHERE id = ?', undef, $n - 3) if $n % 3 == 0;
            locate($one, 'one');
            locate($two, 'two');
            locate($three, 'three');
        }
        note('left', $three->selectall_arrayref('SELECT id, owner, balance FROM account ORDER BY id'));
    },

    # Each handle has a statement at the server from its second use on, and deallocates it when it goes.
    handles => sub {
        my $db = connected();
        for my $n (0 .. ROUNDS - 1) {
            my $add = $db->prepare("SELECT ?::int + $n");
            for (1 .. 4) {
                $add->execute($_);
                note('sum', $add->fetchall_arrayref);
                locate($db);
            }
            undef $add;
            $db->begin_work;
            my $inside = $db->prepare("SELECT ?::int - $n");
            for (1 .. 4) {
                $inside->execute($_);
                note('difference', $inside->fetchall_arrayref);
            }
            undef $inside;
            note('usable', $db->selectrow_array('SELECT 7'));
            $db->commit;
        }
    },

    values => sub {
        my $db = connected();
        for my $typed (@{ cases()->{values} }) {
            my ($type, $literal) = @$typed;
            for (1 .. 3) {
                my ($value) = $db->selectrow_array("SELECT ?::text::$type", undef, $literal);
                note($type, ref $value ? $value : defined $value ? "$value" : undef);
                note('sent back', refused(sub { note('as', $db->selectrow_array("SELECT (?::$type)::text", undef, $value)) }));
            }
            locate($db);
        }
    },

    transactions => sub {
        my $db = connected(AutoCommit => 0);
        open_shop($db);
        $db->commit;
        my $insert = $db->prepare(INSERT);
        for (my $n = 0; $n < 3 * ROUNDS; $n += 3) {
            $insert->execute($n, "kept $n", 1);
            $db->pg_savepoint('before');
            note('twice', refused(sub { $insert->execute($n, 'twice', 1) }));
            note('failed', refused(sub { $db->do('SELECT 1') }));
            $db->pg_rollback_to('before');
            $insert->execute($n + 1, "kept, too $n", 1);
            $db->commit;
            $insert->execute($n + 2, 'taken back', 1);
            $db->rollback;
            locate($db);
            $db->commit;
        }
        note('left', $db->selectall_arrayref('SELECT id, owner FROM account ORDER BY id'));
        $db->rollback;
    },

    errors => sub {
        my $db = connected();
        for my $n (0 .. ROUNDS - 1) {
            for my $sql ('SELECT 1 / ?::int', 'SELEKT ?', 'SELECT * FROM nowhere WHERE id = ?') {
                note($sql, refused(sub { $db->selectall_arrayref($sql, undef, 0) }));
            }
            note('usable', $db->selectrow_array('SELECT ?::int', undef, $n));
            locate($db);
        }
    },

    copies => sub {
        my $db = connected();
        open_shop($db);
        for my $n (0 .. ROUNDS - 1) {
            $db->do('COPY account (id, owner, balance) FROM STDIN');
            $db->pg_putcopydata(sprintf "%d\townér %d\t%d\n", $_, $_, $_) for 50 * $n .. 50 * $n + 49;
            $db->pg_putcopyend;
            $db->do('COPY (SELECT * FROM account ORDER BY id) TO STDOUT');
            my ($out, $line) = ('', '');
            $out .= $line while $db->pg_getcopydata($line) >= 0;
            note('out', sha256_hex(encode_utf8($out)));
            locate($db);
        }
    },

    large => sub {
        my $db = connected();
        open_shop($db);
        my $insert = $db->prepare('INSERT INTO document VALUES (?, ?, ?)');
        $insert->bind_param(3, undef, { pg_type => PG_BYTEA });
        for my $n (0 .. 2) {
            my ($body, $scan) = ("ü$n" x 700_000, pack('C*', $n, 0, 255) x 700_000);
            $insert->execute($n, $body, $scan);
            my ($text, $bytes) = $db->selectrow_array('SELECT body, scan FROM document WHERE id = ?', undef, $n);
            note('text', sha256_hex(encode_utf8($text)));
            note('bytes', sha256_hex($bytes));
        }
        locate($db) for 1 .. ROUNDS;
    },

    cancel => sub {
        my ($db, $other) = (connected(), connected());
        my $asleep = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
        for my $n (0 .. 2) {
            $db->do('SELECT pg_sleep(600)', { pg_async => PG_ASYNC });
            1 until $other->selectrow_array($asleep);
            note('cancelled', $db->pg_cancel ? 'yes' : 'no');
            note('usable', $db->selectrow_array('SELECT ?::int', undef, $n));
        }
        locate($db) for 1 .. ROUNDS;
    },
);

if   (@ARGV) { $stories{ $ARGV[0] }->() }
else         { print "$_\n" for keys %stories }
