// Counts the requests to each path.
import { createServer } from "node:http";

const seen = new Map();
const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    if (request.url === "/counts") {
      const twice = [...seen.values()].filter((count) => count > 1).length;
      response.end(JSON.stringify({ received: seen.size, twice }));
      return;
    }
    seen.set(request.url, (seen.get(request.url) ?? 0) + 1);
    response.end("counted");
  });
});
server.listen(Number(process.argv[2]), "127.0.0.1", () => console.log("ready"));
