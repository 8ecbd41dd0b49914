/** Credentials as clients send them in `X-Registry-Auth` and to `POST /auth`. */
import { struct, text } from './go.ts'

export const registryAuth = struct({
  username: text,
  password: text,
  identitytoken: text,
  serveraddress: text,
})
