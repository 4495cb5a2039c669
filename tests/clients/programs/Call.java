import java.net.HttpURLConnection;
import java.net.URI;

/** Calls a URL by Java's own client, and prints the result. It posts what has output. */
public class Call {
    public static void main(String[] arguments) throws Exception {
        var url = URI.create(arguments[1]).toURL();
        var connection = (HttpURLConnection) url.openConnection();
        if (arguments[0].equals("POST")) {
            connection.setDoOutput(true);
            connection.getOutputStream().close();
        }
        try (var result = connection.getInputStream()) {
            result.transferTo(System.out);
        }
        System.out.flush();
    }
}
