() => { const name = () => document.querySelectorAll("#examples button").forEach((button, i) => {
  button.setAttribute("aria-label", `Example photo ${i + 1}`)
  button.querySelectorAll("img").forEach(img => { img.alt = `Example photo ${i + 1}` }) })
  name(); setTimeout(name, 1000) }
