// tests/integration/cluster/shipped_library.h
//
// What shipping_driver.cc is linked with.
#pragma once

int ShippedAnswer();
