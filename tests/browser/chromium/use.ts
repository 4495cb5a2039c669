// Uses of poll.js that its declarations must allow, and some that they must not.

import { resume, submit, type Options, type Status } from "./poll.js";

const options: Options = {
  name: "report",
  headers: { Authorization: "Bearer x" },
  credentials: "include",
  keepBody: true,
  retries: 3,
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
// @ts-expect-error
const never: Response = await resume("/reports");
export { never };
