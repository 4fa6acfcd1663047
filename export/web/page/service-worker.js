// After the first load the page works without a network: every file of it is kept.
// The export writes the files and a version that changes with any of them into the next line.
const SITE = { version: "", files: [] };

const PREFIX = `tinysight ${registration.scope} `; // other pages of the same origin keep their own
const CACHE = PREFIX + SITE.version;

addEventListener("install", (event) => {
  skipWaiting();
  // no-cache: asks the server whether what the page fetched a moment ago is still right.
  const requests = ["./", ...SITE.files].map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

addEventListener("activate", (event) => {
  event.waitUntil(removeOldCaches().then(() => clients.claim()));
});

addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(
    caches
      .open(CACHE)
      .then((cache) => cache.match(event.request, { ignoreSearch: true }))
      .then((kept) => kept ?? fetch(event.request)),
  );
});

async function removeOldCaches() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}
