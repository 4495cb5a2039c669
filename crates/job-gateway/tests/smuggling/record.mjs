// Prints each whole request, with its fields as they are.
import { createServer } from 'node:http';

const server = createServer((request, response) => {
  let body = 0;
  request.on('data', (piece) => (body += piece.length));
  request.on('error', () => {});
  request.on('end', () => {
    const fields = {};
    for (let index = 0; index < request.rawHeaders.length; index += 2) {
      const name = request.rawHeaders[index].toLowerCase();
      (fields[name] ??= []).push(request.rawHeaders[index + 1]);
    }
    const { method, url: target } = request;
    console.log(`seen ${JSON.stringify({ method, target, body, fields })}`);
    response.setHeader('content-type', 'text/plain');
    response.end('ok');
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
