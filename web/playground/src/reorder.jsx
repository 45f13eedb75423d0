// Stands in for framer-motion, of which GraphiQL uses one thing: a list of
// tabs that can be dragged into another order. A fixed order is enough here
// and makes the page a tenth smaller.

import { forwardRef } from "react";

const Group = forwardRef(function Group({ axis, values, onReorder, ...props }, ref) {
  return <ul ref={ref} {...props} />;
});

const Item = forwardRef(function Item({ value, ...props }, ref) {
  return <li ref={ref} {...props} />;
});

export const Reorder = { Group, Item };
