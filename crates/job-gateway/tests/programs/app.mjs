// A site: an echo, slow work, events, a redirect and a failure.
import { createServer } from 'node:http';
import { setTimeout } from 'node:timers/promises';

async function answer(request, response) {
  const { method, url: path, headers: fields } = request;
  let body = 0;
  for await (const piece of request) body += piece.length;
  switch (path) {
    case '/slow':
      await setTimeout(800);
      response.setHeader('content-type', 'text/plain');
      return response.end('slowly done');
    case '/moved':
      return response.writeHead(302, { location: '/echo' }).end();
    case '/failed':
      response.writeHead(503, { 'retry-after': '7', 'content-type': 'text/plain' });
      return response.end('not today');
    case '/events':
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      for (let number = 0; number < 3; number += 1) {
        response.write(`data: ${number}\n\n`);
        await setTimeout(300);
      }
      return response.end();
    default:
      response.setHeader('content-type', 'application/json');
      return response.end(JSON.stringify({ method, path, body, fields }));
  }
}

createServer(answer).listen(Number(process.argv[2]), '127.0.0.1', () => console.log('ready'));
