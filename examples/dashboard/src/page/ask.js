// Requests that a button makes of the application.

/**
 * Posts to `path` on behalf of a button, which is disabled meanwhile.
 *
 * @param body What to post as JSON, if anything.
 * @param failure Where to say what went wrong.
 * @returns whether it was taken.
 */
export async function ask(button, path, body, failure) {
  button.disabled = true
  const why = await post(path, body).catch(() => 'The server cannot be reached.')
  button.disabled = false
  failure.hidden = !why
  failure.textContent = why
  return !why
}

// What went wrong, or nothing.
async function post(path, body) {
  const headers = body === undefined ? {} : { 'Content-Type': 'application/json' }
  const response = await fetch(path, { method: 'POST', headers, body: body && JSON.stringify(body) })
  if (response.ok) return ''
  const told = await response.json().catch(() => ({}))
  return `It was refused: ${told.error ?? response.status}.`
}
