import java.io.IOException;
import java.net.InetAddress;
import java.net.URI;
import java.net.UnknownHostException;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;

/**
 * {@code java Fetch URL}: resolves the host, gets the page with Java's own client, prints the body.
 *
 * <p>Exit code: 0 for status 200, 1 when the name does not resolve, 2 when there is no answer, 3 for another status.
 */
public final class Fetch {
    private static final int UNRESOLVED = 1, UNANSWERED = 2, OTHER_STATUS = 3, USAGE = 64;
    private static final Duration TIME_LIMIT = Duration.ofSeconds(5);

    private Fetch() {}

    public static void main(String[] words) throws InterruptedException {
        if (words.length != 1) {
            System.err.println("usage: java Fetch URL");
            System.exit(USAGE);
        }
        System.exit(fetch(URI.create(words[0])));
    }

    private static int fetch(URI target) throws InterruptedException {
        try (HttpClient client = HttpClient.newBuilder().connectTimeout(TIME_LIMIT).build()) {
            // The client takes what this finds out of Java's cache; it does not tell an unknown host from a silent one.
            InetAddress.getAllByName(target.getHost());
            HttpRequest request = HttpRequest.newBuilder(target).timeout(TIME_LIMIT).build();
            HttpResponse<byte[]> answer = client.send(request, HttpResponse.BodyHandlers.ofByteArray());
            System.out.writeBytes(answer.body());
            System.out.flush();
            return answer.statusCode() == 200 ? 0 : OTHER_STATUS;
        } catch (UnknownHostException problem) {
            System.err.println(problem);
            return UNRESOLVED;
        } catch (IOException problem) {
            System.err.println(problem);
            return UNANSWERED;
        }
    }
}
