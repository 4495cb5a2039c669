// Uses of poll.js and events.js that their declarations must allow, and some that they must not.

import { listen } from "./events.js";
import { resume, submit, type Options, type Status } from "./poll.js";

const options: Options = {
  name: "report",
  headers: { Authorization: "Bearer x" },
  credentials: "include",
  keepBody: true,
  retries: 3,
  listen,
  onprogress: ({ state, progress }: Status) => {
    console.log(state, progress?.fraction, progress?.message);
  },
  signal: AbortSignal.timeout(1000),
};
const interrupted: Promise<Response> | undefined = resume("/reports", options);
const response: Response = await (interrupted ?? submit("/reports", { ...options, body: "{}" }));
console.log(response.status, await submit("/reports"));
// @ts-expect-error
submit(1);
// @ts-expect-error
submit("/reports", { retry: 3 });
// A page may listen in another way.
await submit("/reports", { listen: (_, { wake }) => (wake(), { isOpen: () => false }) });
// @ts-expect-error
submit("/reports", { listen: () => true });
// @ts-expect-error
const never: Response = await resume("/reports");
export { never };
