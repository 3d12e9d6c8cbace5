// Painting once a frame: however often something changes meanwhile, what is painted is how it stands then.

const due = new Map()

/**
 * Makes a function that marks a key as changed. Before the next frame `paint` is called once, with a set of all keys that
 * were marked since the last; in a window that nobody sees there are no frames, and the set waits.
 */
export function onFrame(paint) {
  return (key) => {
    if (due.size === 0) requestAnimationFrame(paintAll)
    const keys = due.get(paint)
    if (keys) keys.add(key)
    else due.set(paint, new Set([key]))
  }
}

function paintAll() {
  const painted = [...due]
  due.clear()
  for (const [paint, keys] of painted) paint(keys)
}

/** Whether the reader would rather have things stand still. */
export function isCalm() {
  return calm.matches
}

const calm = matchMedia('(prefers-reduced-motion: reduce)')

/** Makes `text` all that an element says, where it does not say so already. */
export function write(element, text) {
  const { firstChild } = element
  if (!firstChild) element.textContent = text
  else if (firstChild.data !== text) firstChild.data = text
}
