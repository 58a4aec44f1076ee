// pgjdbc: statements prepared at the server from their first or fifth use on, batches, cursors with a fetch size,
// savepoints, CopyManager.  One story a run: java Workload.java rows.  Notes are JSON lines on standard output.

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Workload {
    /** How often a story asks which backend it is on; cases.py says why. */
    static final int ROUNDS = 24;
    static final String INSERT = "INSERT INTO account (id, owner, balance) VALUES (?, ?, ?)";

    interface Story {
        void tell(Connection connection) throws Exception;
    }

    static final Map<String, Story> STORIES = new LinkedHashMap<>();

    static {
        STORIES.put("rows", Workload::rows);
        STORIES.put("values", Workload::values);
        STORIES.put("transactions", Workload::transactions);
        STORIES.put("errors", Workload::errors);
        STORIES.put("change", Workload::change);
        STORIES.put("batches", Workload::batches);
        STORIES.put("cursors", Workload::cursors);
        STORIES.put("copies", Workload::copies);
        STORIES.put("large", Workload::large);
        STORIES.put("cancel", Workload::cancel);
        STORIES.put("threads", Workload::threads);
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 0) {
            STORIES.keySet().forEach(System.out::println);
            return;
        }
        try (Connection connection = connect()) {
            STORIES.get(arguments[0]).tell(connection);
        }
    }

    // connections

    static Connection connect(String... more) throws SQLException {
        Map<String, String> environment = System.getenv();
        Properties settings = new Properties();
        settings.put("user", environment.get("PGUSER"));
        settings.put("password", environment.get("PGPASSWORD"));
        for (String pair : environment.getOrDefault("DRIVER_OPTIONS", "prepareThreshold=1").split("&")) {
            settings.put(pair.split("=")[0], pair.split("=")[1]);
        }
        for (String pair : more) {
            settings.put(pair.split("=")[0], pair.split("=")[1]);
        }
        String place = environment.get("PGHOST") + ":" + environment.get("PGPORT");
        return DriverManager.getConnection("jdbc:postgresql://" + place + "/" + environment.get("PGDATABASE"), settings);
    }

    static Path cases() {
        return Path.of(System.getenv("CASES"));
    }

    /** The cases, taken apart by PostgreSQL: Java has no JSON of its own. */
    static Object[][] cases(Connection connection, String sql) throws Exception {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            statement.setString(1, Files.readString(cases()));
            return all(statement.executeQuery());
        }
    }

    static void openShop(Connection connection) throws Exception {
        for (Object[] row : cases(connection, "SELECT json_array_elements_text(?::json -> 'shop')")) {
            run(connection, (String) row[0]);
        }
    }

    static void locate(Connection connection, String client) throws SQLException {
        int pid = (Integer) run(connection, "SELECT pg_backend_pid()")[0][0];
        print("{\"client\": " + json(client) + ", \"pid\": " + pid + "}");
    }

    /** One statement, prepared by its text as pgjdbc's cache does it; its rows, or how many it changed. */
    static Object[][] run(Connection connection, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) {
                statement.setObject(i + 1, values[i]);
            }
            return statement.execute() ? all(statement.getResultSet()) : new Object[][] {{statement.getUpdateCount()}};
        }
    }

    static Object[][] all(ResultSet rows) throws SQLException {
        int width = rows.getMetaData().getColumnCount();
        List<Object[]> found = new ArrayList<>();
        while (rows.next()) {
            Object[] row = new Object[width];
            for (int i = 0; i < width; i++) {
                row[i] = rows.getObject(i + 1);
            }
            found.add(row);
        }
        return found.toArray(new Object[0][]);
    }

    static String refused(Callable<?> work) {
        try {
            work.call();
            return "no error";
        } catch (SQLException error) {
            return error.getSQLState();
        } catch (Exception error) {
            return error.toString();
        }
    }

    // notes

    static synchronized void print(String line) {
        System.out.println(line);
    }

    static void note(String what, Object value) {
        print("{\"note\": " + json(what) + ", \"value\": " + json(shown(value)) + "}");
    }

    static String shown(Object value) {
        if (value instanceof Object[] several) {
            return Arrays.stream(several).map(Workload::shown).toList().toString();
        }
        if (value instanceof byte[] bytes) {
            return HexFormat.of().formatHex(bytes);
        }
        if (value instanceof java.sql.Array || value instanceof java.sql.SQLXML) {
            return value.toString();
        }
        return value == null ? "null" : value.getClass().getSimpleName() + " " + value;
    }

    static String json(String text) {
        StringBuilder out = new StringBuilder("\"");
        text.chars().forEach(c -> out.append(c < 32 || c > 126 || c == '"' || c == '\\' ? String.format("\\u%04x", c) : (char) c));
        return out.append('"').toString();
    }

    static String digest(byte[] bytes) throws Exception {
        return bytes.length + " " + HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(bytes));
    }

    // stories

    static void rows(Connection one) throws Exception {
        try (Connection two = connect(); Connection three = connect()) {
            openShop(one);
            for (int n = 0; n < ROUNDS; n++) {
                note("inserted", run(one, INSERT, n, "owner " + n, n / 4.0));
                note("read", run(two, "SELECT * FROM account WHERE id = ?", n));
                note("updated", run(three, "UPDATE account SET balance = balance + ? WHERE id = ?", n, n));
                if (n % 3 == 0) {
                    run(two, "DELETE FROM account WHERE id = ?", n - 3);
                }
                locate(one, "one");
                locate(two, "two");
                locate(three, "three");
            }
            note("left", run(three, "SELECT id, owner, balance FROM account ORDER BY id"));
        }
    }

    static void values(Connection connection) throws Exception {
        Object[][] cases = cases(connection, "SELECT v ->> 0, v ->> 1 FROM json_array_elements(?::json -> 'values') v");
        for (Object[] typed : cases) {
            for (int again = 0; again < 3; again++) { // as text, then binary
                Object value = run(connection, "SELECT ?::text::" + typed[0], typed[1])[0][0];
                note((String) typed[0], value);
                note("sent back", refused(() -> {
                    note("as", run(connection, "SELECT (?::" + typed[0] + ")::text", value));
                    return null;
                }));
            }
            locate(connection, "one");
        }
    }

    static void transactions(Connection connection) throws Exception {
        openShop(connection);
        connection.setAutoCommit(false);
        for (int n = 0; n < 4 * ROUNDS; n += 4) {
            int key = n;
            run(connection, INSERT, n, "kept " + n, 1);
            Savepoint before = connection.setSavepoint();
            note("twice", refused(() -> run(connection, INSERT, key, "twice", 1)));
            note("failed", refused(() -> run(connection, INSERT, key + 1, "skipped", 1)));
            connection.rollback(before);
            run(connection, INSERT, n + 1, "kept, too " + n, 1);
            connection.commit();
            run(connection, INSERT, n + 2, "taken back", 1);
            connection.rollback();
            locate(connection, "one");
            connection.commit();
            connection.setAutoCommit(n % 8 == 0); // by turns
            run(connection, INSERT, n + 3, "by itself " + n, 1);
            connection.setAutoCommit(false);
        }
        note("left", run(connection, "SELECT id, owner FROM account ORDER BY id"));
        connection.commit();
    }

    static void errors(Connection connection) throws Exception {
        String[] wrong = {"SELECT 1 / ?::int", "SELEKT ?", "SELECT * FROM nowhere WHERE id = ?"};
        for (int n = 0; n < ROUNDS; n++) {
            for (String sql : wrong) {
                note(sql, refused(() -> run(connection, sql, 0)));
            }
            note("usable", run(connection, "SELECT ?::int", n));
            locate(connection, "one");
        }
    }

    /** Without a transaction pgjdbc prepares anew by itself when a cached plan's result has changed. */
    static void change(Connection connection) throws Exception {
        openShop(connection);
        run(connection, "INSERT INTO account VALUES (1, 'first', 1)");
        try (Connection other = connect()) {
            for (int n = 0; n < 6; n++) {
                for (int i = 0; i < ROUNDS / 3; i++) {
                    note("row", run(connection, "SELECT * FROM account WHERE id = ?", 1));
                    locate(connection, "one");
                }
                run(other, "ALTER TABLE account ADD COLUMN extra_" + n + " int DEFAULT " + n);
            }
        }
    }

    static void batches(Connection connection) throws Exception {
        openShop(connection);
        try (Connection rewriting = connect("reWriteBatchedInserts=true")) {
            for (int n = 0; n < ROUNDS; n++) {
                Connection by = n % 2 == 0 ? connection : rewriting;
                by.setAutoCommit(n % 4 < 2);
                note("batch", batch(by, 300 * n));
                note("one twice", refused(() -> batch(by, 299)));
                if (!by.getAutoCommit()) {
                    by.rollback();
                }
                locate(by, n % 2 == 0 ? "one" : "rewriting");
                locate(by, n % 2 == 0 ? "one" : "rewriting");
                if (!by.getAutoCommit()) {
                    by.commit();
                }
            }
        }
        note("there", run(connection, "SELECT count(*), sum(id), sum(balance) FROM account"));
    }

    static int batch(Connection connection, int start) throws SQLException {
        try (PreparedStatement insert = connection.prepareStatement(INSERT)) {
            for (int n = start; n < start + 300; n++) {
                insert.setInt(1, n);
                insert.setString(2, "owner " + n);
                insert.setInt(3, n);
                insert.addBatch();
            }
            int count = insert.executeBatch().length;
            if (!connection.getAutoCommit()) {
                connection.commit();
            }
            return count;
        }
    }

    static void cursors(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        for (int n = 0; n < ROUNDS; n++) {
            try (PreparedStatement statement = connection.prepareStatement("SELECT i FROM generate_series(1, ?) i")) {
                statement.setFetchSize(70);
                statement.setInt(1, 350 + n);
                long sum = 0;
                ResultSet rows = statement.executeQuery();
                while (rows.next()) {
                    sum += rows.getInt(1);
                    if (rows.getInt(1) % 100 == 0) { // another statement while the cursor is open
                        sum += (Integer) run(connection, "SELECT ?::int", 1)[0][0];
                    }
                }
                note("sum", sum);
            }
            connection.commit();
            locate(connection, "one");
            connection.commit();
        }
    }

    static void copies(Connection connection) throws Exception {
        openShop(connection);
        CopyManager copies = connection.unwrap(PGConnection.class).getCopyAPI();
        for (int n = 0; n < ROUNDS; n++) {
            StringBuilder lines = new StringBuilder();
            for (int i = 50 * n; i < 50 * n + 50; i++) {
                lines.append(i + "\townér " + i + "\t" + i + "\n");
            }
            byte[] bytes = lines.toString().getBytes(StandardCharsets.UTF_8);
            String in = "COPY account (id, owner, balance) FROM STDIN";
            note("in", copies.copyIn(in, new ByteArrayInputStream(bytes)));
            note("twice", refused(() -> copies.copyIn(in, new ByteArrayInputStream(bytes))));
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            copies.copyOut("COPY (SELECT * FROM account ORDER BY id) TO STDOUT", out);
            note("out", digest(out.toByteArray()));
            locate(connection, "one");
        }
    }

    static void large(Connection connection) throws Exception {
        openShop(connection);
        for (int n = 0; n < 3; n++) {
            String body = ("ü" + n).repeat(700_000);
            byte[] scan = new byte[2_100_000];
            Arrays.fill(scan, (byte) (n + 250));
            run(connection, "INSERT INTO document VALUES (?, ?, ?)", n, body, scan);
            Object[] row = run(connection, "SELECT body, scan FROM document WHERE id = ?", n)[0];
            note("text", digest(((String) row[0]).getBytes(StandardCharsets.UTF_8)));
            note("bytes", digest((byte[]) row[1]));
        }
        for (int n = 0; n < ROUNDS; n++) {
            locate(connection, "one");
        }
    }

    static void cancel(Connection connection) throws Exception {
        ExecutorService aside = Executors.newSingleThreadExecutor();
        try (Connection other = connect(); Statement sleep = connection.createStatement()) {
            for (int n = 0; n < 3; n++) {
                Future<String> told = aside.submit(() -> refused(() -> sleep.execute("SELECT pg_sleep(600)")));
                String asleep = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query = 'SELECT pg_sleep(600)'";
                while (run(other, asleep).length == 0) {
                    Thread.onSpinWait();
                }
                sleep.cancel();
                note("cancelled", told.get());
                note("usable", run(connection, "SELECT ?::int", n));
            }
            sleep.setQueryTimeout(1);
            note("timed out", refused(() -> sleep.execute("SELECT pg_sleep(601)")));
        } finally {
            aside.shutdown();
        }
        for (int n = 0; n < ROUNDS; n++) {
            locate(connection, "one");
        }
    }

    static void threads(Connection connection) throws Exception {
        openShop(connection);
        run(connection, INSERT, 0, "everybody's", 1000);
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<Object>> done = new ArrayList<>();
        for (int number = 1; number <= 6; number++) {
            int own = number;
            done.add(pool.submit(() -> {
                try (Connection mine = connect()) {
                    mine.setAutoCommit(false);
                    for (int n = 0; n < ROUNDS; n++) {
                        run(mine, "UPDATE account SET balance = balance - ? WHERE id = 0", 1);
                        run(mine, INSERT, 1000 * own + n, own + " " + n, own);
                        locate(mine, "thread " + own);
                        mine.commit();
                    }
                }
                return null;
            }));
        }
        for (Future<Object> one : done) {
            one.get();
        }
        pool.shutdown();
        note("left", run(connection, "SELECT balance FROM account WHERE id = ?", 0));
        note("there", run(connection, "SELECT count(*), sum(balance) FROM account"));
        for (int n = 0; n < ROUNDS; n++) {
            locate(connection, "main");
        }
    }
}
