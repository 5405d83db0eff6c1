// Names of things as one types: options of the list below a field.
export function suggestNames(field, list) {
  let asked = 0;
  field.addEventListener("input", async () => {
    const now = ++asked;
    await new Promise((resolve) => setTimeout(resolve, 150));
    if (now !== asked) return;
    try {
      const answer = await fetch(`/gallery/suggestions?q=${encodeURIComponent(field.value)}`);
      if (!answer.ok) return;
      const names = await answer.json();
      if (now !== asked) return;
      list.replaceChildren(...names.map(({ name }) => Object.assign(document.createElement("option"), { value: name })));
    } catch {
      // They help, and are missed by nobody.
    }
  });
}
