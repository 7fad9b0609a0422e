const version = "{version}", files = {files}

addEventListener("install", event => event.waitUntil((async () => {
  const cache = await caches.open(version)
  for (const file of files) if (!await cache.match(file)) await cache.add(new Request(file, {cache: "no-cache"}))
  await skipWaiting()
})()))

addEventListener("activate", event => event.waitUntil((async () => {
  for (const name of await caches.keys()) if (name !== version && name.startsWith("page-")) await caches.delete(name)
  await clients.claim()
})()))

addEventListener("fetch", event => {
  if (event.request.method === "GET") event.respondWith((async () =>
    await (await caches.open(version)).match(event.request, {ignoreSearch: true}) || fetch(event.request))())
})
