// pgjdbc on the console: SHOW, SELECT with parameters, SET, errors; in text and, once prepared, in binary.
// java Console.java; it throws where something is not as it should be.

import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.util.Properties;

public class Console {
    public static void main(String[] arguments) throws SQLException {
        Properties settings = new Properties();
        settings.put("user", "boss");
        settings.put("prepareThreshold", "1");
        try (Connection console = DriverManager.getConnection(arguments[0], settings)) {
            check(console.isValid(10), "it answers");
            for (int turn = 0; turn < 3; turn++) {
                show(console);
                select(console);
            }
            change(console);
            mistakes(console);
            transaction(console);
        }
    }

    static void check(boolean right, String what) {
        if (!right) {
            throw new AssertionError(what);
        }
    }

    static void show(Connection console) throws SQLException {
        try (PreparedStatement statement = console.prepareStatement("SHOW POOLS");
                ResultSet rows = statement.executeQuery()) {
            ResultSetMetaData columns = rows.getMetaData();
            check(columns.getColumnName(1).equals("database"), "the first column of SHOW POOLS");
            check(columns.getColumnType(3) == Types.INTEGER, "the type of cl_active");
            check(rows.next(), "rows of SHOW POOLS");
            check(rows.getInt("sv_idle") >= 0, "a number of servers");
        }
        try (Statement statement = console.createStatement(); ResultSet rows = statement.executeQuery("SHOW STATS")) {
            check(rows.getMetaData().getColumnType(2) == Types.NUMERIC, "the type of a total");
            check(rows.next() && rows.getBigDecimal(2).signum() >= 0, "a total");
        }
    }

    static void select(Connection console) throws SQLException {
        String sql = "SELECT key, value, 7 AS seven, count(*) FROM config WHERE key = ? AND 1 < ? GROUP BY 1, 2";
        try (PreparedStatement statement = console.prepareStatement(sql)) {
            statement.setString(1, "pool_mode");
            statement.setInt(2, 2);
            try (ResultSet rows = statement.executeQuery()) {
                check(rows.next() && rows.getString(2).equals("transaction"), "the value of pool_mode");
                check(rows.getInt(3) == 7 && rows.getLong(4) == 1, "numbers");
                check(!rows.next(), "one row");
            }
        }
    }

    static void change(Connection console) throws SQLException {
        try (Statement statement = console.createStatement()) {
            statement.execute("SET default_pool_size = 7");
            try (ResultSet rows = statement.executeQuery("SELECT value FROM config WHERE key = 'default_pool_size'")) {
                check(rows.next() && rows.getString(1).equals("7"), "what was set");
            }
            statement.execute("RELOAD");
            check(statement.getWarnings().getMessage().startsWith("configuration reloaded"), "a notice");
        }
    }

    static void mistakes(Connection console) throws SQLException {
        String[][] wrong = {{"SHOW NOTHING", "08P01"}, {"SELECT x FROM pools", "42703"}, {"SELECT 1 FROM x", "42P01"}};
        for (String[] pair : wrong) {
            try (Statement statement = console.createStatement()) {
                statement.execute(pair[0]);
                throw new AssertionError(pair[0] + " is no error");
            } catch (SQLException error) {
                check(pair[1].equals(error.getSQLState()), "the SQLSTATE of " + pair[0]);
            }
        }
    }

    static void transaction(Connection console) throws SQLException {
        console.setAutoCommit(false);
        show(console);
        console.commit();
        check(console.getTransactionIsolation() == Connection.TRANSACTION_READ_COMMITTED, "the isolation level");
        console.rollback();
    }
}
